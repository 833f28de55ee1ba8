//! What went wrong with an object store, in words that say where and what to do.

use weir_core::Error;

use object_store::Error as StoreError;

/// Where credentials of a kind of store come from.
#[derive(Debug, Clone, Copy)]
pub struct Credentials(pub &'static str);

/// An error of the store about the object of this name; `doing` is what was tried: "write", "read".
pub fn failed(doing: &str, name: &str, credentials: Credentials, error: StoreError) -> Error {
    match error {
        StoreError::NotFound { source, .. } => Error::environment(format!("{name} is not there")).with_source(source),
        error @ (StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }) => {
            Error::environment(format!("cannot {doing} {name}: access is denied"))
                .with_help(credentials.0)
                .with_source(error)
        }
        error => Error::environment(format!("cannot {doing} {name}")).with_source(error),
    }
}
