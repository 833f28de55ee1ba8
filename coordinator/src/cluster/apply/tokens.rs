//! Tokens, and who has done what.

use weir_core::JobId;
use weir_proto::client::{Bearer, NewToken};

use super::{Applied, check_name};
use crate::cluster::{Action, ClusterState, Command, Refusal, Token};

impl ClusterState {
    /// Does what somebody wants, and keeps who it was with the job that it is about.
    pub(super) fn apply_by(&mut self, by: String, command: Command) -> Result<Applied, Refusal> {
        let told = action(&command);
        let created = match &command {
            Command::CreateToken { token, .. } => Some(token.name.clone()),
            _ => None,
        };
        let outcome = self.apply(command)?;
        if let Some(name) = created.filter(|_| outcome == Applied::Changed) {
            self.tokens.set_maker(&name, by);
            return Ok(outcome);
        }
        let (job, what, at) = match (&outcome, told) {
            (Applied::Submitted { job, already_there: false }, Some((_, what, at))) => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.submitted_by = Some(by.clone());
                }
                (*job, what, at)
            }
            (Applied::Updated { job }, Some((_, what, at))) => (*job, what, at),
            (Applied::Changed, Some((Some(job), what, at))) => (job, what, at),
            _ => return Ok(outcome),
        };
        if let Some(job) = self.jobs.get_mut(&job) {
            job.last_action = Some(Action { what: what.to_owned(), by, at });
        }
        Ok(outcome)
    }

    pub(super) fn create_token(&mut self, token: NewToken, at: i64) -> Result<Applied, Refusal> {
        let NewToken { name, bearer, grants, plugins, expires_at } = token;
        check_name("token", &name)?;
        check_bearer(&bearer)?;
        if grants.is_empty() || grants.len() > 100 {
            return Err(Refusal::BadValue("a token has 1 to 100 roles"));
        }
        if let Some(missing) =
            grants.iter().filter_map(|grant| grant.namespace.as_ref()).find(|of| !self.namespaces.contains_key(*of))
        {
            return Err(Refusal::NoSuchNamespace(missing.clone()));
        }
        if expires_at.is_some_and(|end| end <= at) {
            return Err(Refusal::BadValue("the token would have expired before it is made"));
        }
        let same = |there: &Token| there.bearer == bearer && there.grants == grants && there.plugins == plugins;
        // A group may have several, each with its own end and of its own maker.
        let is_taken = |there: &Token| there.bearer == bearer && bearer.group().is_none();
        match self.tokens.get(&name) {
            // The same client asks again.
            Some(there) if same(there) && there.expires_at == expires_at => return Ok(Applied::Unchanged),
            Some(_) => return Err(Refusal::TokenExists(name)),
            None if self.tokens.values().any(is_taken) => return Err(Refusal::TokenExists(name)),
            None if self.tokens.len() >= Token::MOST => {
                return Err(Refusal::BadValue("there are too many tokens: revoke those that are not used"));
            }
            None => {}
        }
        let token = Token { bearer, grants, plugins, created_by: None, created_at: at, expires_at };
        self.tokens.insert(name, token);
        Ok(Applied::Changed)
    }

    pub(super) fn revoke_token(&mut self, name: String) -> Result<Applied, Refusal> {
        match self.tokens.remove(&name) {
            Some(_) => Ok(Applied::Changed),
            None => Err(Refusal::NoSuchToken(name)),
        }
    }
}

fn check_bearer(bearer: &Bearer) -> Result<(), Refusal> {
    let fits = match bearer {
        Bearer::Secret(sha256) => {
            sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        // Others are not read in what an issuer says.
        Bearer::Group(group) => {
            (1..=256).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        }
    };
    match bearer {
        _ if fits => Ok(()),
        Bearer::Secret(_) => Err(Refusal::BadValue("a token is told by its SHA-256, as 64 digits from 0 to f")),
        Bearer::Group(_) => Err(Refusal::BadValue("a group has a name of 1 to 256 printable ASCII characters")),
    }
}

/// What is told of a command about a job; a job that is not there yet has no number.
fn action(command: &Command) -> Option<(Option<JobId>, &'static str, i64)> {
    match command {
        Command::SubmitJob { at, .. } => Some((None, "submit", *at)),
        Command::UpdateJob { job, at, .. } => Some((Some(*job), "update", *at)),
        Command::AdoptState { job, at, .. } => Some((Some(*job), "adopt", *at)),
        Command::StopJob { job, drain: false, at } => Some((Some(*job), "stop", *at)),
        Command::StopJob { job, drain: true, at } => Some((Some(*job), "drain", *at)),
        Command::CancelJob { job, at } => Some((Some(*job), "cancel", *at)),
        Command::RestartJob { job, at, .. } => Some((Some(*job), "restart", *at)),
        Command::RescaleJob { job, at, .. } => Some((Some(*job), "rescale", *at)),
        Command::SetScaling { job, at, .. } => Some((Some(*job), "set-scaling", *at)),
        _ => None,
    }
}
