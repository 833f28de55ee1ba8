//! Who may do what: one table, and one function that asks it.
//!
//! ```text
//!                                        viewer   developer   operator   admin
//!   see jobs, checkpoints, catalog         x          x           x        x
//!   stop, restart, rescale, savepoint                 x           x        x
//!   submit, delete, change the catalog                x                    x
//!   read the rows of a SELECT                         x                    x
//!   drain workers                                             everywhere   everywhere
//!   namespaces, coordinators                                               everywhere
//!   tokens                                                                 where they are good for
//!   submit a plugin                        whoever may submit, and has the right to bring native code
//!   send a plugin's file                   whoever has that right, and any role
//! ```
//!
//! A job that calls a function of a plugin takes the same right, and so does a catalog that names a file which it did not name before.
//!
//! "Everywhere" is a role that is granted in all namespaces. Without TLS the network is trusted, and whoever asks may do everything.

use std::collections::BTreeSet;
use std::fmt;

use weir_core::plugin::ArtifactHash;
use weir_core::{JobId, Node, OperatorSpec};
use weir_proto::client::{
    Bearer, Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse, Grant, Identity, JobRef, Role, Subject,
};

use crate::cluster::{ClusterState, plugins_of};

/// Who asks, and what it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Under which it is known: a token's name, a certificate, a subject of the issuer. `None` where the network is trusted.
    pub name: Option<String>,
    /// The tokens that it has, by their names.
    pub tokens: Vec<String>,
    /// Its roles.
    pub grants: Vec<Grant>,
    /// Whether it may bring native code.
    pub plugins: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Look.
    See,
    /// Have jobs go on otherwise.
    Run,
    /// Change what there is.
    Change,
    /// Look after workers.
    Operate,
    /// Change who may do what, and of what the cluster is made.
    Administer,
    /// Bring native code.
    Plugin,
}

/// What it is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// What is in a namespace.
    Namespace(String),
    /// The cluster as a whole.
    Cluster,
    /// Whatever of the cluster each who has any role may see; of lists, what it may see of them.
    Shared,
}

impl Principal {
    /// One who may do everything.
    pub fn all(name: Option<String>) -> Self {
        Self { name, tokens: Vec::new(), grants: vec![Grant { role: Role::Admin, namespace: None }], plugins: true }
    }

    fn sees(&self, namespace: &str) -> bool {
        authorize(self, Verb::See, &Resource::Namespace(namespace.to_owned())).is_ok()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::See => "see what is",
            Self::Run => "stop, restart or rescale jobs",
            Self::Change => "change jobs or the catalog",
            Self::Operate => "drain workers",
            Self::Administer => "administer what is",
            Self::Plugin => "submit plugins",
        })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => write!(f, "in the namespace '{namespace}'"),
            Self::Cluster | Self::Shared => f.write_str("in the cluster"),
        }
    }
}

/// Whether a role is enough.
fn allows(role: Role, verb: Verb) -> bool {
    match verb {
        Verb::See => true,
        Verb::Run => role != Role::Viewer,
        Verb::Change => matches!(role, Role::Developer | Role::Admin),
        Verb::Operate => matches!(role, Role::Operator | Role::Admin),
        Verb::Administer => role == Role::Admin,
        // Not by any role.
        Verb::Plugin => false,
    }
}

/// Whether somebody may do that.
///
/// # Errors
/// Why not.
pub fn authorize(principal: &Principal, verb: Verb, resource: &Resource) -> Result<(), ClientError> {
    let reaches = |grant: &Grant| match (resource, &grant.namespace) {
        (_, None) | (Resource::Shared, _) => true,
        (Resource::Namespace(wanted), Some(granted)) => wanted == granted,
        (Resource::Cluster, Some(_)) => false,
    };
    let is_granted = match verb {
        Verb::Plugin => principal.plugins,
        verb => principal.grants.iter().any(|grant| reaches(grant) && allows(grant.role, verb)),
    };
    if is_granted {
        return Ok(());
    }
    let who = principal.name.as_deref().unwrap_or("whoever asks");
    Err(ClientError::new(ClientErrorKind::Denied, format!("{who} may not {verb} {resource}"))
        .with_help("`weir tokens list` shows what your token or your groups are good for; an admin can make another"))
}

/// Who asks, as far as the cluster knows it. `now` is in milliseconds since 1970.
///
/// # Errors
/// If it is not known who asks.
pub fn principal(state: &ClusterState, caller: &Caller, now: i64) -> Result<Principal, ClientError> {
    let unknown = |why: &str| {
        ClientError::new(ClientErrorKind::Unauthenticated, why)
            .with_help("give a token with --token-file or in WEIR_TOKEN, or an administrator's certificate")
    };
    match &caller.identity {
        Identity::Nobody => Err(unknown("it is not known who asks")),
        Identity::Trusted => Ok(Principal::all(None)),
        Identity::Certificate(fingerprint) => Ok(Principal::all(Some(format!("certificate:{fingerprint}")))),
        Identity::Token(sha256) => {
            // Neither is it told which of the two it was, nor does it take longer: what is compared is a hash of what was sent.
            let is_it = |bearer: &Bearer| matches!(bearer, Bearer::Secret(known) if known == sha256);
            let token = state.tokens.iter().find(|(_, token)| is_it(&token.bearer));
            let token = token.filter(|(_, token)| token.is_good(now));
            let (name, token) = token.ok_or_else(|| unknown("the token is not known, was revoked, or has expired"))?;
            let (grants, plugins) = (token.grants.clone(), token.plugins);
            Ok(Principal { name: Some(name.clone()), tokens: vec![name.clone()], grants, plugins })
        }
        // Who asks again and again with one call, as streams of events do, does so until its token ends.
        Identity::Subject(subject) if now >= subject.expires_at => Err(unknown("the token has expired")),
        Identity::Subject(subject) => Ok(principal_of(state, subject, now)),
    }
}

/// A subject of the issuer, with the rights of its groups: those without a token give none.
fn principal_of(state: &ClusterState, subject: &Subject, now: i64) -> Principal {
    let mut principal =
        Principal { name: Some(subject.name.clone()), tokens: Vec::new(), grants: Vec::new(), plugins: false };
    let tokens = subject.groups.iter().flat_map(|group| state.tokens.of_group(group));
    for (name, token) in tokens.filter(|(_, token)| token.is_good(now)) {
        principal.tokens.push(name.clone());
        principal.grants.extend(token.grants.iter().cloned());
        principal.plugins |= token.plugins;
    }
    principal
}

/// What a request needs. Every kind of request has its line here.
fn needed(state: &ClusterState, request: &ClientRequest) -> Result<Vec<(Verb, Resource)>, ClientError> {
    use ClientRequest as R;
    let of = |verb: Verb, job: &JobRef| namespace_of(state, job).map(|namespace| vec![(verb, namespace)]);
    let within = |verb: Verb, namespace: &String| Ok(vec![(verb, Resource::Namespace(namespace.clone()))]);
    match request {
        R::SubmitJob(submit) => {
            // That a catalog names a file says nothing: its text is not read here, nor where a graph has its files from.
            let is_native = |node: &Node| match &node.spec.operator {
                OperatorSpec::Plugin(_) => true,
                operator => operator.plugin_table().is_some(),
            };
            let brings_code = submit.graph.nodes().iter().any(is_native) || !submit.graph.artifacts().is_empty();
            changed(&submit.namespace, brings_code)
        }
        R::ListJobs { namespace: Some(namespace), .. } | R::ShowCatalog { namespace, to_change: false } => {
            within(Verb::See, namespace)
        }
        R::ShowCatalog { namespace, to_change: true } | R::ExpectResults { namespace, .. } => changed(namespace, false),
        R::PutArtifact(_) => Ok(vec![(Verb::See, Resource::Shared), (Verb::Plugin, Resource::Cluster)]),
        // Rows are for those who may submit the query.
        R::ReadResults { job, .. } => of(Verb::Change, job),
        R::DescribeJob { job, .. } | R::ListCheckpoints { job } | R::AuditSinks { job } => of(Verb::See, job),
        R::RestartJob { job, adopted: Some(_), .. } => of(Verb::Change, job),
        R::StopJob { job, .. }
        | R::CancelJob { job }
        | R::RestartJob { job, .. }
        | R::RescaleJob { job, .. }
        | R::SetScaling { job, .. }
        | R::TakeSavepoint { job }
        | R::ForgetCheckpoint { job, .. } => of(Verb::Run, job),
        R::DeleteJob { job, .. } => of(Verb::Change, job),
        R::ReplaceCatalog { namespace, statements, .. } => {
            let offered = hashes(catalog(state, namespace));
            changed(namespace, !hashes(statements).is_subset(&offered))
        }
        R::ListJobs { namespace: None, .. }
        | R::ListNamespaces
        | R::ListWorkers
        | R::ListTokens
        | R::DescribeCluster => Ok(vec![(Verb::See, Resource::Shared)]),
        R::DrainWorker { .. } => Ok(vec![(Verb::Operate, Resource::Cluster)]),
        R::SetNamespace { .. }
        | R::DropNamespace { .. }
        | R::AddCoordinator { .. }
        | R::RemoveCoordinator { .. }
        | R::TransferLeadership { .. } => Ok(vec![(Verb::Administer, Resource::Cluster)]),
        // Nobody gives what it has not got.
        R::CreateToken(token) => {
            let plugins = token.plugins.then_some((Verb::Plugin, Resource::Cluster));
            Ok(administered(&token.grants).into_iter().chain(plugins).collect())
        }
        R::RevokeToken { name } => {
            Ok(state.tokens.get(name).map_or_else(|| administered(&[]), |token| administered(&token.grants)))
        }
    }
}

/// What it takes to change something in a namespace, and to bring native code with it.
fn changed(namespace: &str, brings_code: bool) -> Result<Vec<(Verb, Resource)>, ClientError> {
    let verbs = [Verb::Change].into_iter().chain(brings_code.then_some(Verb::Plugin));
    Ok(verbs.map(|verb| (verb, Resource::Namespace(namespace.to_owned()))).collect())
}

/// The statements of a namespace's catalog.
fn catalog<'a>(state: &'a ClusterState, namespace: &str) -> &'a [String] {
    state.namespaces.get(namespace).map_or(&[], |namespace| &namespace.catalog.statements)
}

/// The files of plugins that statements name.
fn hashes(statements: &[String]) -> BTreeSet<ArtifactHash> {
    statements.iter().flat_map(|statement| plugins_of(statement)).collect()
}

/// Where somebody has to be an admin to see to a token with these grants.
fn administered(grants: &[Grant]) -> Vec<(Verb, Resource)> {
    let place = |grant: &Grant| grant.namespace.clone().map_or(Resource::Cluster, Resource::Namespace);
    match grants {
        [] => vec![(Verb::Administer, Resource::Cluster)],
        grants => grants.iter().map(|grant| (Verb::Administer, place(grant))).collect(),
    }
}

fn namespace_of(state: &ClusterState, job: &JobRef) -> Result<Resource, ClientError> {
    Ok(Resource::Namespace(match job {
        JobRef::Name { namespace, .. } => namespace.clone(),
        JobRef::Id(id) => state.jobs.get(id).ok_or_else(|| no_such_job(*id))?.namespace.clone(),
    }))
}

fn no_such_job(id: JobId) -> ClientError {
    ClientError::new(ClientErrorKind::NotFound, format!("there is no job {id}"))
        .with_help("`weir jobs list --all` shows all jobs")
}

/// Whether somebody may ask for that.
///
/// # Errors
/// Why not.
pub fn check(state: &ClusterState, principal: &Principal, request: &ClientRequest) -> Result<(), ClientError> {
    let allowed = needed(state, request)?.iter().try_for_each(|(verb, resource)| authorize(principal, *verb, resource));
    match (allowed, request.job()) {
        // The number of a job of others tells as much as one that was never given.
        (Err(denied), Some(JobRef::Id(id))) => {
            let seen = state.jobs.get(id).is_some_and(|job| principal.sees(&job.namespace));
            Err(if seen { denied } else { no_such_job(*id) })
        }
        (allowed, _) => allowed,
    }
}

/// Of an answer, what somebody may see.
pub fn visible(principal: &Principal, state: &ClusterState, answer: ClientResponse) -> ClientResponse {
    match answer {
        ClientResponse::Jobs(mut jobs) => {
            jobs.retain(|job| principal.sees(&job.namespace));
            ClientResponse::Jobs(jobs)
        }
        ClientResponse::Namespaces(mut namespaces) => {
            namespaces.retain(|namespace| principal.sees(&namespace.namespace));
            ClientResponse::Namespaces(namespaces)
        }
        ClientResponse::Workers(mut workers) => {
            for worker in &mut workers {
                let sees = |job: &JobId| state.jobs.get(job).is_some_and(|job| principal.sees(&job.namespace));
                worker.jobs.retain(|job| sees(&job.job));
            }
            ClientResponse::Workers(workers)
        }
        ClientResponse::Tokens(mut tokens) => {
            let rules = |grants: &[Grant]| {
                administered(grants).iter().all(|(verb, resource)| authorize(principal, *verb, resource).is_ok())
            };
            tokens.retain(|token| principal.tokens.contains(&token.name) || rules(&token.grants));
            ClientResponse::Tokens(tokens)
        }
        other => other,
    }
}

#[cfg(test)]
pub(crate) mod tests;
