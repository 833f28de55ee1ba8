//! Which partitions there are: asked once, or every so often. With each it is found out where reading it begins and ends.
//!
//! What is there when a job begins starts where the table's options say. A partition that comes later, also while the job was down, is
//! read from its first record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use weir_connectors::blocking::begin;
use weir_core::connector::{DiscoveryContext, Split, SplitDiscovery};
use weir_core::{Attempt, Error, ErrorKind, Result, TableSpec};

use crate::client::{AWAY, Client};
use crate::errors::drain;
use crate::offsets::{Place, Reset};
use crate::options::SourceOptions;
use crate::resolve::{starts, stops};
use crate::split::{self, Range, TopicPartition};
use crate::topics::Found;

/// When a look has failed, the next one comes so much later.
const AGAIN: Duration = Duration::from_secs(1);

/// Opens the discovery of a table. A job that begins looks at once.
///
/// # Errors
/// If the options are wrong, or there is nothing to read.
pub(crate) async fn open(table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
    let mut options = SourceOptions::read(table)?;
    options.client.was_let_in = !context.known.is_empty() || context.attempt > Attempt(1);
    let options = Arc::new(options);
    let mut known = BTreeSet::new();
    for split in &context.known {
        known.insert(split::parse(split)?.0);
    }
    let begins = known.is_empty();
    let mut discovery = KafkaDiscovery { options, known, client: None, failing_since: None, stage: Stage::Done };
    if begins {
        let (client, found) = joined(discovery.look(true).await)?;
        discovery.client = Some(client);
        discovery.stage = Stage::Found(found);
    } else if discovery.options.bounded.is_none() {
        discovery.stage = Stage::Waiting { until: Instant::now(), is_awaited: true };
    }
    Ok(Box::new(discovery))
}

struct KafkaDiscovery {
    options: Arc<SourceOptions>,
    /// Partitions that have been announced.
    known: BTreeSet<TopicPartition>,
    client: Option<Arc<Client>>,
    /// Since when looks fail.
    failing_since: Option<Instant>,
    stage: Stage,
}

type Look = JoinHandle<Result<(Arc<Client>, Vec<(TopicPartition, Range)>)>>;

enum Stage {
    /// Nothing is looked for before this moment. `is_awaited`: splits that are known wait for the answer, whatever it is.
    Waiting { until: Instant, is_awaited: bool },
    /// The cluster is asked.
    Looking { look: Look, is_awaited: bool },
    /// These can be announced.
    Found(Vec<(TopicPartition, Range)>),
    /// Nothing more is looked for.
    Done,
}

impl KafkaDiscovery {
    /// Asks for partitions that are not known; `begins`: the job does.
    fn look(&self, begins: bool) -> Look {
        let (options, known, client) = (self.options.clone(), self.known.clone(), self.client.clone());
        begin(move || {
            let client = match client {
                Some(client) => client,
                None => Arc::new(options.client.connect(&options.client.asking())?),
            };
            let found = look(&client, &options, &known, begins)?;
            Ok((client, found))
        })
    }

    fn later(&self) -> Stage {
        match self.options.discovery {
            None => Stage::Done,
            Some(interval) => Stage::Waiting { until: Instant::now() + interval, is_awaited: false },
        }
    }

    /// A look has failed. It may be that the cluster comes back; what is wrong for a while is an error.
    fn again(&mut self, error: Error, is_awaited: bool) -> Result<Stage> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if error.kind() == ErrorKind::Internal || since.elapsed() > AWAY {
            return Err(error);
        }
        tracing::warn!(error = error.report(), "it cannot be found out which partitions there are");
        Ok(Stage::Waiting { until: Instant::now() + AGAIN, is_awaited })
    }
}

#[async_trait]
impl SplitDiscovery for KafkaDiscovery {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        // All that is known is in `self`, so that a dropped wait loses nothing.
        loop {
            self.stage = match &mut self.stage {
                Stage::Waiting { until, is_awaited } => {
                    sleep_until(*until).await;
                    let is_awaited = *is_awaited;
                    Stage::Looking { look: self.look(false), is_awaited }
                }
                Stage::Looking { look, is_awaited } => {
                    let (look, is_awaited) = (joined(look.await), *is_awaited);
                    match look {
                        Ok((client, found)) => {
                            self.client = Some(client);
                            self.failing_since = None;
                            if found.is_empty() && !is_awaited { self.later() } else { Stage::Found(found) }
                        }
                        Err(error) => self.again(error, is_awaited)?,
                    }
                }
                Stage::Found(found) => {
                    let found = std::mem::take(found);
                    self.stage = self.later();
                    let splits = found.iter().map(|(partition, range)| split::split(partition, *range)).collect();
                    self.known.extend(found.into_iter().map(|(partition, _)| partition));
                    return Ok(Some(splits));
                }
                Stage::Done => return Ok(None),
            }
        }
    }
}

fn joined<T>(look: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    look.map_err(|panic| Error::internal("looking for partitions broke off").with_source(panic))?
}

/// The partitions that are not known, with what is read of them. Waits for the network.
fn look(
    client: &Client,
    options: &SourceOptions,
    known: &BTreeSet<TopicPartition>,
    begins: bool,
) -> Result<Vec<(TopicPartition, Range)>> {
    drain(client);
    let Found { partitions, missing } = options.topics.find(client)?;
    client.events().answered();
    if begins && (partitions.is_empty() || !missing.is_empty()) {
        return Err(options.topics.nothing(&missing));
    }
    if let Some(gone) = known.iter().find(|partition| !partitions.contains(*partition)) {
        return Err(Error::data(format!("{} is not there any more", gone.described())).with_help(
            "its topic was deleted. A job that reads the table without it, or a new topic of that name, is another job: it begins \
             where 'scan.startup.mode' says",
        ));
    }
    let new: Vec<TopicPartition> = partitions.into_iter().filter(|partition| !known.contains(partition)).collect();
    let (place, reset) = match begins {
        true => (&options.startup, options.client.reset),
        false => (&Place::Earliest, Reset::Fail),
    };
    let starts = starts(client, &new, place, reset)?;
    let stops = match &options.bounded {
        None => vec![None; new.len()],
        Some(place) => stops(client, &new, place)?.into_iter().map(Some).collect(),
    };
    let ranges = starts.into_iter().zip(stops).map(|(start, stop)| Range { start, stop });
    Ok(new.into_iter().zip(ranges).collect())
}
