//! Schemas: `.proto` files and what a compiler has made of them. Reading and resolving is protox's.

use std::path::{Component, Path, PathBuf};

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};

use super::known;
use crate::options::nearest;

/// A file with messages, and those that it imports.
#[derive(Debug, Clone)]
pub(crate) struct ProtobufSchema {
    pool: DescriptorPool,
    /// The file whose messages are meant, by its name.
    file: String,
}

/// Files whose text is at hand.
struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let given = self.0.iter().find(|(given, _)| given == name).map(|(_, text)| text.as_str());
        match given.or_else(|| known::file(name)) {
            Some(text) => parsed(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// What stands in braces in each other at most. Values of options are read by recursion, and a text comes from whoever may register schemas.
const DEPTH: usize = 50;

/// The file of a text.
fn parsed(name: &str, text: &str) -> Result<File, protox::Error> {
    match depth(text) > DEPTH {
        true => Err(protox::Error::new(format!("'{name}' has more than {DEPTH} braces in each other"))),
        false => File::from_source(name, text),
    }
}

/// Files in a folder and below it.
struct Folder(PathBuf);

impl FileResolver for Folder {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        match std::fs::read_to_string(self.0.join(name)) {
            _ if !is_below => Err(protox::Error::file_not_found(name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(protox::Error::file_not_found(name)),
            read => parsed(name, &read.map_err(protox::Error::new)?),
        }
    }
}

/// How many braces stand in each other; those in texts and comments count, too.
fn depth(text: &str) -> usize {
    let mut deepest = 0;
    text.bytes().fold(0_usize, |depth, byte| {
        let depth = match byte {
            b'{' | b'<' | b'[' => depth.saturating_add(1),
            b'}' | b'>' | b']' => depth.saturating_sub(1),
            _ => depth,
        };
        deepest = deepest.max(depth);
        depth
    });
    deepest
}

/// The name of a file that has none.
const OWN: &str = "weir-schema.proto";

impl ProtobufSchema {
    /// Compiles a text; `references` are files that it may import, by the names that it has for them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of_text(text: &str, references: &[(String, String)]) -> Result<Self, String> {
        let mut files = references.to_vec();
        files.push((OWN.to_owned(), text.to_owned()));
        compile(Texts(files), OWN)
    }

    /// Reads a file: `.proto`, whose imports are looked for from its folder, or a set of descriptors.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let at = |error: &dyn std::fmt::Display| format!("'{}': {error}", path.display());
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("proto")) {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| at(&"no name of a file"))?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut files = ChainFileResolver::new();
            files.add(Folder(folder.to_owned()));
            files.add(Texts(Vec::new()));
            return compile(files, name).map_err(|error| at(&error));
        }
        let bytes = std::fs::read(path).map_err(|error| at(&error))?;
        let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| {
            at(&format!("{error}; it has to be a set of descriptors with all that they import, as `protoc --include_imports --descriptor_set_out` makes it"))
        })?;
        // Each file stands behind those that it imports.
        let last = pool.files().last().map(|file| file.name().to_owned());
        last.map(|file| Self { pool, file }).ok_or_else(|| at(&"there is no descriptor in it"))
    }

    fn file(&self) -> Option<FileDescriptor> {
        self.pool.get_file_by_name(&self.file)
    }

    /// The message of this name, or without one the only message of the file.
    ///
    /// # Errors
    /// If there is none, or none that is meant for certain.
    pub(crate) fn message(&self, name: Option<&str>) -> Result<MessageDescriptor, String> {
        let Some(name) = name else {
            let mut messages = self.file().into_iter().flat_map(|file| file.messages().collect::<Vec<_>>());
            return match (messages.next(), messages.next()) {
                (None, _) => Err("it has no message".to_owned()),
                (Some(one), None) => Ok(one),
                (Some(first), Some(second)) => Err(format!(
                    "it has several messages, such as '{}' and '{}', and none of them is named",
                    first.full_name(),
                    second.full_name()
                )),
            };
        };
        let name = name.strip_prefix('.').unwrap_or(name);
        self.pool.get_message_by_name(name).ok_or_else(|| {
            let names: Vec<String> = self.pool.all_messages().map(|message| message.full_name().to_owned()).collect();
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("it has no message '{name}', but '{near}'"),
                None => format!("it has no message '{name}'"),
            }
        })
    }

    /// The message at a place: which of the file's messages, which of those in it, and so on.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn message_at(&self, place: &[usize]) -> Result<MessageDescriptor, String> {
        let none = || format!("it has no message at {place:?}");
        let (first, rest) = place.split_first().ok_or_else(none)?;
        let mut message = self.file().and_then(|file| file.messages().nth(*first)).ok_or_else(none)?;
        for index in rest {
            // Counted as they are written: entries of maps are messages of the compiler's.
            let inner = message.child_messages().filter(|inner| !inner.is_map_entry()).nth(*index);
            message = inner.ok_or_else(none)?;
        }
        Ok(message)
    }
}

fn compile(files: impl FileResolver + 'static, name: &str) -> Result<ProtobufSchema, String> {
    let mut all = ChainFileResolver::new();
    all.add(files);
    all.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(all);
    // Only this form says where in which file.
    compiler.open_file(name).map_err(|error| format!("{error:?}").replace(OWN, "its text"))?;
    Ok(ProtobufSchema { pool: compiler.descriptor_pool(), file: name.to_owned() })
}
