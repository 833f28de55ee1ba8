//! The OpenID Connect issuer whose tokens a coordinator takes. Options have the names that Kubernetes' API server has for them.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use reqwest::Certificate;
use weir_core::{Error, Result};
use weir_oidc::{Expected, Issuer, IssuerConfig};

use crate::clock::wall_millis;

/// Whose tokens are taken beside the cluster's own.
#[derive(Debug, Clone, Default, Args)]
pub struct OidcArguments {
    /// The issuer whose tokens (JWT) clients may show, as it calls itself; https. Give all coordinators the same.
    #[arg(
        long,
        help_heading = "OpenID Connect",
        env = "WEIR_OIDC_ISSUER_URL",
        value_name = "URL",
        requires = "oidc_client_id"
    )]
    pub oidc_issuer_url: Option<String>,

    /// For whom tokens have to be (audience): the cluster's client id at the issuer.
    #[arg(
        long,
        help_heading = "OpenID Connect",
        env = "WEIR_OIDC_CLIENT_ID",
        value_name = "ID",
        requires = "oidc_issuer_url"
    )]
    pub oidc_client_id: Option<String>,

    /// The claim with the user's name.
    #[arg(long, help_heading = "OpenID Connect", env = "WEIR_OIDC_USERNAME_CLAIM", value_name = "CLAIM", default_value = "sub", value_parser = NonEmptyStringValueParser::new())]
    pub oidc_username_claim: String,

    /// What stands in front of it, after oidc: and before a #, in the audit log and with jobs; the issuer's URL if not given.
    #[arg(long, help_heading = "OpenID Connect", env = "WEIR_OIDC_USERNAME_PREFIX", value_name = "PREFIX", value_parser = prefix)]
    pub oidc_username_prefix: Option<String>,

    /// The claim with the groups that a user is in, a name or a list. What each may do says `weir tokens create NAME --group GROUP`.
    #[arg(long, help_heading = "OpenID Connect", env = "WEIR_OIDC_GROUPS_CLAIM", value_name = "CLAIM", default_value = "groups", value_parser = NonEmptyStringValueParser::new())]
    pub oidc_groups_claim: String,

    /// Certificates of the CAs that the issuer's may come from, in PEM format; those of the system if not given.
    #[arg(
        long,
        help_heading = "OpenID Connect",
        env = "WEIR_OIDC_CA_FILE",
        value_name = "FILE",
        requires = "oidc_issuer_url"
    )]
    pub oidc_ca_file: Option<PathBuf>,
}

/// It is told apart from the user's name by the `#` behind it.
fn prefix(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    fits.then(|| text.to_owned()).ok_or_else(|| "write 1 to 64 printable ASCII characters, and no #".into())
}

impl OidcArguments {
    /// The issuer, if there is one.
    ///
    /// # Errors
    /// If it cannot be one, or the file of its CA cannot be used.
    pub fn open(&self) -> Result<Option<Arc<Issuer>>> {
        let (Some(url), Some(client)) = (&self.oidc_issuer_url, &self.oidc_client_id) else { return Ok(None) };
        let roots = match &self.oidc_ca_file {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let expected = Expected {
            issuer: url.clone(),
            audience: client.clone(),
            user: self.oidc_username_claim.clone(),
            groups: self.oidc_groups_claim.clone(),
            prefix: self.oidc_username_prefix.clone().unwrap_or_else(|| url.clone()),
        };
        let config = IssuerConfig { url: url.clone(), expected, roots, wall_clock: Arc::new(wall_millis) };
        Issuer::new(config).map(Arc::new).map(Some)
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>> {
    let failed = |why: &str| Error::user(format!("--oidc-ca-file {}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed("it cannot be read").with_source(error))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed("it cannot be used").with_source(error))?;
    if found.is_empty() { Err(failed("there is no certificate in it")) } else { Ok(found) }
}

/// Keeps the issuer's keys new, for as long as it is waited for.
pub async fn run(issuer: Option<Arc<Issuer>>) {
    match issuer {
        Some(issuer) => issuer.run().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        oidc: OidcArguments,
    }

    /// Whether there is an issuer with these arguments, or what is wrong with them.
    fn opened(arguments: &[&str]) -> Result<bool, String> {
        let parsed = Alone::try_parse_from([&["weir"], arguments].concat()).map_err(|error| error.to_string())?;
        parsed.oidc.open().map(|issuer| issuer.is_some()).map_err(|error| error.report())
    }

    #[test]
    fn an_issuer_needs_its_url_and_for_whom_its_tokens_are() {
        let both = ["--oidc-issuer-url", "https://issuer.example/realm", "--oidc-client-id", "weir"];
        let with = |more: &[&str]| opened(&[&both, more].concat());
        assert_eq!(opened(&[]), Ok(false));
        assert_eq!(with(&[]), Ok(true));
        assert_eq!(with(&["--oidc-username-claim", "email", "--oidc-username-prefix", "corp"]), Ok(true));
        assert!(opened(&both[..2]).unwrap_err().contains("--oidc-client-id"));
        assert!(opened(&both[2..]).unwrap_err().contains("--oidc-issuer-url"));
        let plain = ["--oidc-issuer-url", "http://issuer.example", "--oidc-client-id", "weir"];
        assert!(opened(&plain).unwrap_err().contains("write https://"));
        for wrong in ["", "a#b", "a b", "ä"] {
            assert!(with(&["--oidc-username-prefix", wrong]).unwrap_err().contains("and no #"), "{wrong}");
        }
        assert!(with(&["--oidc-username-claim", ""]).is_err() && with(&["--oidc-groups-claim", ""]).is_err());
        assert!(with(&["--oidc-ca-file", "/nowhere/ca.pem"]).unwrap_err().contains("cannot be read"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        let ca = ["--oidc-ca-file", empty.path().to_str().unwrap()];
        assert!(with(&ca).unwrap_err().contains("no certificate in it"));
    }
}
