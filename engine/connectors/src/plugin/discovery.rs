//! Which splits a plugin's source has.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use weir_core::connector::DiscoveryContext;
use weir_core::plugin::{Plugin, PluginSource, PluginSplits};
use weir_core::{Error, Result, Split, SplitDiscovery};

use super::Code;
use super::thread::{guarded, start};

type Answer = oneshot::Sender<Result<PluginSplits>>;

/// Asks the plugin now and then, on a thread that the source lives on.
pub(super) struct PluginDiscovery {
    code: Code,
    asks: mpsc::Sender<Answer>,
    /// What was asked and not answered yet: a wait that is given up loses nothing.
    asked: Option<oneshot::Receiver<Result<PluginSplits>>>,
    known: BTreeSet<Arc<str>>,
    /// The splits of the first look, until they were told.
    first: Option<Vec<Split>>,
    /// When to look again; `None`: there will be no more.
    again: Option<Instant>,
}

impl PluginDiscovery {
    /// Looks for the first time: a job whose input is not there does not start.
    pub(super) async fn open(code: Code, context: &DiscoveryContext) -> Result<Self> {
        let (asks, answers) = mpsc::channel();
        let request = code.request.clone();
        start(
            &code.plugin,
            move |plugin: &dyn Plugin| {
                let mut source: Option<Box<dyn PluginSource>> = None;
                for answer in answers {
                    let answer: Answer = answer;
                    let found = guarded("`splits`", || match &mut source {
                        Some(source) => source.splits(),
                        none => none.insert(plugin.source(&request)?).splits(),
                    });
                    // Nobody wants to know any more.
                    let _ = answer.send(found);
                }
            },
            |error| tracing::error!(%error, "the splits of a plugin's source are not looked for"),
        )?;
        let known = context.known.iter().map(|split| split.name.clone()).collect();
        let mut discovery = Self { code, asks, asked: None, known, first: None, again: Some(Instant::now()) };
        let found = discovery.look().await?;
        discovery.first = Some(found);
        Ok(discovery)
    }

    /// The splits that were not known before.
    async fn look(&mut self) -> Result<Vec<Split>> {
        let gone = || Error::environment("the thread that looks for splits has ended");
        if self.asked.is_none() {
            let (answer, asked) = oneshot::channel();
            self.asks.send(answer).map_err(|_| gone())?;
            self.asked = Some(asked);
        }
        let Some(asked) = &mut self.asked else { return Err(Error::internal("nothing was asked")) };
        let answer = asked.await;
        self.asked = None;
        let PluginSplits { splits, again_after } =
            answer.unwrap_or_else(|_| Err(gone())).map_err(|error| self.code.context(error))?;
        self.again = again_after.map(|pause| Instant::now() + pause);
        let (mut named, mut found) = (BTreeSet::new(), Vec::new());
        for split in splits {
            let name: Arc<str> = Arc::from(split.name);
            if !named.insert(name.clone()) {
                return Err(self.code.context(Error::user(format!("two splits of the source are called '{name}'"))));
            }
            if self.known.insert(name.clone()) {
                let description = split.begin.unwrap_or_default();
                found.push(Split { sequence: name.clone(), name, description });
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl SplitDiscovery for PluginDiscovery {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            if self.asked.is_none() {
                let Some(again) = self.again else { return Ok(None) };
                sleep_until(again).await;
            }
            let found = self.look().await?;
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
    }
}
