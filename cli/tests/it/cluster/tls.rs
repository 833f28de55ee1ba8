//! A cluster whose processes show each other certificates: it runs as any other, and lets nobody in who has none.

use std::path::Path;

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use crate::weir::{command, weir};

fn copy(from: &str, to: &str, files: &[&str]) {
    for file in files {
        let (from, to) = (Path::new(from).join(file), Path::new(to).join(file));
        std::fs::copy(from, to).unwrap();
    }
}

#[test]
fn a_cluster_with_tls_runs_jobs_and_survives_its_leader_and_new_certificates() {
    let mut cluster = Cluster::planned_with_tls(3);
    (1..=3).for_each(|id| cluster.start_coordinator(id));
    cluster.add_workers(2, 1);
    let bids = Bids { seconds: 10 };
    // Rows go from worker to worker: each has one slot.
    bids.submit(&cluster, "counts", 2);
    cluster.until_checkpoint("counts");
    let leader = cluster.json(&["cluster", "status"])["leader"].as_u64().unwrap();
    // Everybody is given new certificates, and whoever connects from now on meets them.
    let folder = cluster.path("security");
    let renewed = weir(&["cluster", "init-security", "--dir", &folder]).code(0);
    assert!(renewed.err.contains("new certificates of the CA that was there"), "{}", renewed.err);
    cluster.kill(&format!("c{leader}"));
    until("another one leads", || {
        let status = cluster.weir(&["cluster", "status", "--json", "--timeout", "2s"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).ok()?;
        status["leader"].as_u64().filter(|now| *now != leader)
    });
    cluster.start_coordinator(usize::try_from(leader).unwrap());
    let finished = cluster.until_finished("counts");
    assert_eq!(finished["restarts"], 0, "{finished:#}");
    bids.assert_result(&cluster, "counts");
}

#[test]
fn nobody_without_the_right_certificate_is_let_in() {
    let mut cluster = Cluster::planned_with_tls(1);
    cluster.start_coordinator(1);
    until("it leads", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));

    let list = ["jobs", "list", "--timeout", "5s"];
    let nobody = cluster.weir_as(None, &list).code(2);
    nobody.says(&["it is not known who asks", "--token-file"]);
    let worker = cluster.weir_as(Some("worker"), &list).code(2);
    worker.says(&["the one that is shown is for something else", "admin.weir.internal"]);
    let plain = command(&list).env("WEIR_COORDINATORS", cluster.coordinator()).output().unwrap();
    crate::weir::Ran::from(plain).code(2).says(&["speaks TLS only", "--tls-ca"]);

    // A CA of the same name is another CA.
    let other = cluster.path("other");
    weir(&["cluster", "init-security", "--dir", &other]).code(0);
    let stranger = |ca: &str, own: &str| {
        let mut command = command(&list);
        command.env("WEIR_COORDINATORS", cluster.coordinator()).env("WEIR_TLS_CA", format!("{ca}/ca.pem"));
        command.env("WEIR_TLS_CERT", format!("{own}/admin.pem")).env("WEIR_TLS_KEY", format!("{own}/admin.key"));
        crate::weir::Ran::from(command.output().unwrap()).code(2)
    };
    let security = cluster.path("security");
    stranger(&other, &other).says(&["the certificate of the other side is not of the CA that was given with --tls-ca"]);
    stranger(&security, &other).says(&["the other side does not take our certificate: it is not of the CA"]);

    // A worker needs that of a worker, and a coordinator that of a coordinator.
    let data = cluster.path("w9");
    cluster.weir_as(Some("admin"), &["worker", "--data-dir", &data]).code(2).says(&["is not that of a worker"]);
    let arguments = ["coordinator", "--listen", "127.0.0.1:0", "--data-dir", &data];
    cluster.weir_as(Some("worker"), &arguments).code(2).says(&["is not that of a coordinator"]);
    cluster.weir_as(None, &arguments).code(2).says(&["a coordinator needs a certificate of its own"]);

    // The files are read again, without a restart: others first, and then its own.
    copy(&other, &security, &["coordinator.pem", "coordinator.key"]);
    cluster.weir(&list).code(2).says(&["the certificate of the other side is not of the CA"]);
    weir(&["cluster", "init-security", "--dir", &security]).code(0);
    cluster.weir(&list).code(0);
}

#[test]
fn who_is_reached_from_elsewhere_needs_certificates_or_has_to_say_that_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for process in ["coordinator", "worker"] {
        let arguments = [process, "--listen", "0.0.0.0:0", "--data-dir", data.to_str().unwrap()];
        weir(&arguments).code(2).says(&["nothing here is encrypted or authenticated", "init-security", "--insecure"]);
    }
    let open = ["coordinator", "--listen", "0.0.0.0:0", "--insecure", "--data-dir", data.to_str().unwrap()];
    let issuer = ["--advertise", "c1:1", "--oidc-issuer-url", "https://issuer.example", "--oidc-client-id", "weir"];
    // Were the issuer taken, the file would end the process.
    let file = ["--oidc-ca-file", "/nowhere/ca.pem"];
    weir(&[&open[..], &issuer, &file].concat()).code(2).says(&["--oidc-issuer-url protects nothing", "init-security"]);
    let half = ["coordinator", "--tls-cert", "x.pem", "--data-dir", data.to_str().unwrap()];
    weir(&half).code(2).says(&["--tls-cert and --tls-key belong together"]);
    let security = folder.path().join("security");
    let security = security.to_str().unwrap();
    weir(&["cluster", "init-security", "--dir", security, "--hosts", "a b"]).code(2).says(&["'a b' is neither"]);
    weir(&["cluster", "init-security", "--dir", security]).code(0);
    use std::os::unix::fs::PermissionsExt;
    for name in ["ca", "coordinator", "worker", "admin"] {
        let mode = |suffix: &str| {
            let path = Path::new(security).join(format!("{name}.{suffix}"));
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("key") & 0o077, mode("pem") & 0o044), (0, 0o044), "{name}");
    }
    std::fs::remove_file(Path::new(security).join("ca.key")).unwrap();
    weir(&["cluster", "init-security", "--dir", security]).code(2).says(&["the CA in", "cannot be used"]);
}
