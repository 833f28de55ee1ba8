//! Where files of plugins are kept: beside the checkpoints, in one folder for the cluster, each under its hash.

/// The folder, as a URL.
pub fn folder(storage: &str, cluster: &str) -> String {
    format!("{storage}/{cluster}/{NAME}")
}

/// The storage that such a folder is in.
pub fn storage_of(folder: &str) -> &str {
    let cluster = folder.strip_suffix(NAME).and_then(|folder| folder.strip_suffix('/'));
    cluster.and_then(|cluster| cluster.rsplit_once('/')).map_or(folder, |(storage, _)| storage)
}

const NAME: &str = "artifacts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_in_its_storage() {
        let url = folder("file:///shared", "weir-1");
        assert_eq!(url, "file:///shared/weir-1/artifacts");
        assert_eq!(storage_of(&url), "file:///shared");
    }
}
