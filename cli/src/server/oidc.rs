//! The OpenID Connect issuer whose tokens a coordinator takes. Options have the names that Kubernetes' API server has for them.

use std::net::SocketAddr;
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
    /// The issuer whose tokens (JWT) clients may show, as it calls itself; https. Give all coordinators the same. Needs
    /// --tls-cert and --tls-key unless --listen is a loopback address.
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

    /// The claim with the groups that a user is in, a name or a list. What each may do says `weir role-bindings`.
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

/// Longest prefix: URLs of issuers with a tenant's number have some 80 characters.
const LONGEST_PREFIX: usize = 256;

/// It is told apart from the user's name by the `#` behind it.
fn prefix(text: &str) -> Result<String, String> {
    let fits =
        (1..=LONGEST_PREFIX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("write 1 to {LONGEST_PREFIX} printable ASCII characters, and no #"))
}

impl OidcArguments {
    /// The issuer, if there is one. `secure`: clients come in by TLS.
    ///
    /// # Errors
    /// If it cannot be one, the file of its CA cannot be used, or its tokens would protect nothing at the address that is listened at.
    pub fn open(&self, listen: SocketAddr, secure: bool) -> Result<Option<Arc<Issuer>>> {
        let (Some(url), Some(client)) = (&self.oidc_issuer_url, &self.oidc_client_id) else { return Ok(None) };
        // Without TLS whoever shows no token is trusted, and tokens of the issuer could be read on their way.
        if !secure && !listen.ip().is_loopback() {
            return Err(Error::user(format!(
                "--oidc-issuer-url protects nothing at {listen} without TLS: whoever shows no token may do everything"
            ))
            .with_help("use TLS: `weir cluster init-security` makes certificates; or listen on 127.0.0.1"));
        }
        let roots = match &self.oidc_ca_file {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let expected = Expected {
            issuer: url.clone(),
            audience: client.clone(),
            user: self.oidc_username_claim.clone(),
            groups: self.oidc_groups_claim.clone(),
            prefix: self.prefix(url)?,
        };
        let config = IssuerConfig { url: url.clone(), expected, roots, wall_clock: Arc::new(wall_millis) };
        Issuer::new(config).map(Arc::new).map(Some)
    }

    fn prefix(&self, url: &str) -> Result<String> {
        match &self.oidc_username_prefix {
            Some(given) => Ok(given.clone()),
            None => prefix(url).map_err(|why| {
                Error::user(format!("--oidc-issuer-url '{url}' cannot stand in front of users' names"))
                    .with_help(format!("give another prefix with --oidc-username-prefix: {why}"))
            }),
        }
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
        let (loopback, secure) = ("127.0.0.1:7420".parse().unwrap(), false);
        parsed.oidc.open(loopback, secure).map(|issuer| issuer.is_some()).map_err(|error| error.report())
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
        for wrong in ["", "a#b", "a b", "ä", &"x".repeat(257)] {
            assert!(with(&["--oidc-username-prefix", wrong]).unwrap_err().contains("and no #"), "{wrong}");
        }
        for wrong in ["https://issuer.example/größe".to_owned(), format!("https://issuer.example/{}", "x".repeat(234))]
        {
            let arguments = ["--oidc-issuer-url", &wrong, "--oidc-client-id", "weir"];
            let error = opened(&arguments).unwrap_err();
            assert!(error.contains("in front of users' names") && error.contains("--oidc-username-prefix"), "{error}");
            assert_eq!(opened(&[&arguments[..], &["--oidc-username-prefix", "corp"]].concat()), Ok(true));
        }
        assert!(with(&["--oidc-username-claim", ""]).is_err() && with(&["--oidc-groups-claim", ""]).is_err());
        assert!(with(&["--oidc-ca-file", "/nowhere/ca.pem"]).unwrap_err().contains("cannot be read"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        let ca = ["--oidc-ca-file", empty.path().to_str().unwrap()];
        assert!(with(&ca).unwrap_err().contains("no certificate in it"));
    }

    #[test]
    fn an_issuer_wants_tls_where_others_come_in() {
        let arguments = ["weir", "--oidc-issuer-url", "https://issuer.example", "--oidc-client-id", "weir"];
        let opened = |arguments: &[&str], listen: &str, secure| {
            let oidc = Alone::try_parse_from(arguments).unwrap().oidc;
            oidc.open(listen.parse().unwrap(), secure).map(|issuer| issuer.is_some()).map_err(|error| error.report())
        };
        for elsewhere in ["0.0.0.0:7420", "10.0.0.1:7420", "[::]:7420"] {
            let error = opened(&arguments, elsewhere, false).unwrap_err();
            assert!(error.contains(&format!("protects nothing at {elsewhere} without TLS")), "{error}");
            assert_eq!(opened(&arguments, elsewhere, true), Ok(true));
            assert_eq!(opened(&arguments[..1], elsewhere, false), Ok(false));
        }
        assert_eq!(opened(&arguments, "[::1]:7420", false), Ok(true));
    }
}
