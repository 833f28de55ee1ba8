//! What browsers let the pages of others do is refused: a page may send requests to any address that its reader reaches, without asking and
//! without seeing the answer.
//!
//! - A request whose `Origin` is not where it goes to comes from another's page. Programs send none.
//! - A page may have its own name lead to the reader's machine (DNS rebinding); its origin is right then. So a port that only this machine
//!   reaches goes by no other names than this machine's.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Problem;

/// How clients may call this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// By any name.
    Any,
    /// By an address, or as `localhost`.
    Local,
}

pub(crate) async fn refuse_other_pages(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match checked(hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn checked(hosts: Hosts, request: &Request) -> Result<(), Problem> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    // HTTP/2 has it in the place of the header.
    let host = request.uri().authority().map(|authority| authority.as_str()).or(header(header::HOST));
    check(hosts, host.unwrap_or_default(), header(header::ORIGIN))
}

fn check(hosts: Hosts, host: &str, origin: Option<&str>) -> Result<(), Problem> {
    let denied = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, "denied", detail));
    if let Some(origin) = origin {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return denied(format!("the page {origin} may not send requests to {host}"));
        }
    }
    if hosts == Hosts::Local && !is_local(host) {
        return denied(format!("this coordinator listens on this machine only, and is not called {host}"));
    }
    Ok(())
}

/// Whether nobody can have that name lead here but this machine.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_are_refused_and_programs_are_not() {
        let may = |hosts, host, origin| check(hosts, host, origin).is_ok();
        assert!(may(Hosts::Any, "weir.example.org:7420", None));
        assert!(may(Hosts::Any, "weir.example.org:7420", Some("https://WEIR.example.org:7420")));
        for foreign in ["https://evil.example.org", "null", "https://weir.example.org", "https://weir.example.org:7421"]
        {
            assert!(!may(Hosts::Any, "weir.example.org:7420", Some(foreign)), "{foreign}");
        }
        for own in ["127.0.0.1:7420", "localhost:7420", "[::1]:7420", "LOCALHOST", ""] {
            assert!(may(Hosts::Local, own, None), "{own}");
        }
        for other in ["evil.example.org:7420", "localhost.evil.example.org", "[evil]:7420"] {
            assert!(!may(Hosts::Local, other, None), "{other}");
        }
    }
}
