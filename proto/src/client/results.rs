//! Where the rows of a `SELECT` wait for the client that prints them: beside the checkpoints, in a folder for each submission.

/// The folder of a submission, as a URL; `token` tells it from all others.
pub fn folder(storage: &str, cluster: &str, token: u64) -> String {
    format!("{}{token:016x}", beginning(storage, cluster))
}

/// Whether a URL is that of such a folder. Clients name it and coordinators delete it, so it must be nothing else.
pub fn is_folder(url: &str, storage: &str, cluster: &str) -> bool {
    url.strip_prefix(&beginning(storage, cluster))
        .is_some_and(|name| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn beginning(storage: &str, cluster: &str) -> String {
    format!("{storage}/{cluster}/results/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_this_cluster_s_results_are_taken_for_such() {
        let url = folder("file:///shared", "weir-1", 0xabc);
        assert_eq!(url, "file:///shared/weir-1/results/0000000000000abc");
        assert!(is_folder(&url, "file:///shared", "weir-1"));
        for other in [
            "file:///shared/weir-1/jobs/1",
            "file:///shared/weir-1/results/",
            "file:///shared/weir-1/results/../jobs/00001",
            "file:///shared/weir-1/results/0000000000000abc/..",
            "file:///shared/weir-2/results/0000000000000abc",
            "file:///home/flights",
        ] {
            assert!(!is_folder(other, "file:///shared", "weir-1"), "{other}");
        }
    }
}
