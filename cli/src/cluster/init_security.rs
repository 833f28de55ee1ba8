//! `weir cluster init-security`: a CA and certificates, for those who have none.
//!
//! ```text
//!   DIR/ca.pem           the CA's certificate: everybody has it
//!   DIR/ca.key           its key: nobody needs it to run anything; keep it where no process is
//!   DIR/coordinator.*    certificate and key of all coordinators
//!   DIR/worker.*         of all workers
//!   DIR/admin.*          of an administrator's command line
//! ```
//!
//! A CA that is there is used again: to renew certificates is to run the command once more.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use weir_core::{Error, Result};
use weir_proto::tls::CertificateRole;

use super::said;
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::random::random;
use crate::terminal::Screen;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir cluster init-security --dir security --hosts c1.example.org,10.0.0.1,10.0.0.2,10.0.0.3
  weir coordinator … --tls-ca security/ca.pem --tls-cert security/coordinator.pem --tls-key security/coordinator.key
  weir worker …      --tls-ca security/ca.pem --tls-cert security/worker.pem --tls-key security/worker.key
  weir cluster status --tls-ca security/ca.pem --tls-cert security/admin.pem --tls-key security/admin.key

Processes of Weir know each other by what a certificate is for, which stands among its alternative names, and not by their hosts' names:
these matter to other programs, such as curl or a browser. To renew certificates, run the command again and put the new files where the
old ones are: running processes read them.

Own certificates do as well: coordinator.weir.internal, worker.weir.internal or admin.weir.internal has to be among their alternative
names, and they have to be good for both sides of a connection.";

/// `weir cluster init-security`.
#[derive(Debug, Args)]
pub struct InitSecurityArguments {
    /// Where the files go; made if need be.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Names and addresses by which the coordinators are reached.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', default_value = "localhost,127.0.0.1,::1")]
    pub hosts: Vec<String>,

    /// How long the certificates are good for.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// How long the CA is good for.
const CA_DAYS: u32 = 3650;
/// The name of the CA. Its certificate is never read again: it follows from this and the key.
const CA_NAME: &str = "Weir cluster CA";
/// Clocks of different machines are apart: certificates count from an hour ago.
const EARLIER: u64 = 3600;

/// Writes the files.
///
/// # Errors
/// If they cannot be written, or the CA that is there cannot be read.
pub fn execute(arguments: &InitSecurityArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir)
        .map_err(|error| Error::environment(format!("{} cannot be made", dir.display())).with_source(error))?;
    let now = u64::try_from(wall_millis()).unwrap_or(0) / 1000;
    let (ca, is_new) = ca(dir, now)?;
    for role in CertificateRole::ALL {
        let name = file_name(role);
        let mut names = vec![role.name().to_owned()];
        if role == CertificateRole::Coordinator {
            names.extend(arguments.hosts.iter().map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()));
        }
        let key = KeyPair::generate().map_err(failed)?;
        let params = certificate(&format!("weir {name}"), names, now, arguments.days)?;
        let signed = params.signed_by(&key, &ca).map_err(failed)?;
        write(&dir.join(format!("{name}.key")), key.serialize_pem().as_bytes(), 0o600)?;
        write(&dir.join(format!("{name}.pem")), signed.pem().as_bytes(), 0o644)?;
    }
    let what = if is_new { "a CA and certificates" } else { "new certificates of the CA that was there" };
    said(
        screen,
        &format!(
            "{what}, good for {} days, are in {}; `weir cluster init-security --help` shows how they are used",
            arguments.days,
            dir.display()
        ),
    )
}

fn file_name(role: CertificateRole) -> &'static str {
    match role {
        CertificateRole::Coordinator => "coordinator",
        CertificateRole::Worker => "worker",
        CertificateRole::Admin => "admin",
    }
}

fn failed(error: rcgen::Error) -> Error {
    Error::user("a certificate cannot be made").with_source(error)
}

/// The CA that is there, or a new one.
fn ca(dir: &Path, now: u64) -> Result<(Issuer<'static, KeyPair>, bool)> {
    let (key_file, certificate_file) = (dir.join("ca.key"), dir.join("ca.pem"));
    let mut params = CertificateParams::default();
    params.distinguished_name = named(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if key_file.exists() || certificate_file.exists() {
        let unusable = |error: String| {
            Error::user(format!("the CA in {} cannot be used", dir.display())).with_source(error).with_help(
                "ca.pem and ca.key have to be there both, as this command has made them; or name an empty folder",
            )
        };
        let text = std::fs::read_to_string(&key_file).map_err(|error| unusable(error.to_string()))?;
        std::fs::metadata(&certificate_file).map_err(|error| unusable(error.to_string()))?;
        let key = KeyPair::from_pem(&text).map_err(|error| unusable(error.to_string()))?;
        return Ok((Issuer::new(params, key), false));
    }
    let key = KeyPair::generate().map_err(failed)?;
    valid(&mut params, now, CA_DAYS)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    write(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
    write(&certificate_file, certificate.pem().as_bytes(), 0o644)?;
    Ok((Issuer::new(params, key), true))
}

fn certificate(name: &str, names: Vec<String>, now: u64, days: u32) -> Result<CertificateParams> {
    let wrong = |host: &str| Error::user(format!("--hosts: '{host}' is neither a name nor an address"));
    if let Some(host) = names.iter().find(|host| host.parse::<IpAddr>().is_err() && !is_name(host)) {
        return Err(wrong(host));
    }
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = named(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Each process is the server of some and the client of others.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, days)?;
    Ok(params)
}

/// A DNS name; the leftmost part may be a star.
fn is_name(host: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    host.strip_prefix("*.").unwrap_or(host).split('.').all(part)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn valid(params: &mut CertificateParams, now: u64, days: u32) -> Result<()> {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(EARLIER));
    params.not_after = epoch + Duration::from_secs(now + u64::from(days) * 86_400);
    params.serial_number = Some(SerialNumber::from_slice(&(random()? >> 1).to_be_bytes()));
    Ok(())
}

/// Writes a file beside its place and moves it there: who reads it meanwhile sees the old one or the new one. Nobody else can read it
/// first if nobody else may.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let beside = path.with_extension(format!("{}.new", path.extension().unwrap_or_default().to_string_lossy()));
    let written = || {
        // One that an earlier run has left may have other permissions.
        let _ = std::fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().map_err(|error| Error::environment(format!("{} cannot be written", path.display())).with_source(error))
}
