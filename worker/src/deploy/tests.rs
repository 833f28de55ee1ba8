use std::sync::atomic::{AtomicBool, Ordering};

use weir_core::Error;
use weir_core::plugin::{Artifact, Plugin, Plugins};

use super::*;

/// Knows whether it was given up.
#[derive(Debug, Default)]
struct GivenUp(AtomicBool);

impl Plugins for GivenUp {
    fn find(&self, _: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        Err(Error::internal("there is none"))
    }

    fn give_up(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Panics if it is dropped before plugins are given up.
struct Operator(Arc<GivenUp>);

impl Drop for Operator {
    fn drop(&mut self) {
        assert!(self.0.0.load(Ordering::SeqCst), "an operator is dropped whose calls go on");
    }
}

/// A subtask that is open.
fn opened(plugins: &Arc<GivenUp>) -> Opened {
    let operator = Operator(plugins.clone());
    async move {
        drop(operator);
        std::future::pending().await
    }
    .boxed()
}

type Opening = futures::future::BoxFuture<'static, Result<Opened>>;

#[tokio::test]
async fn plugins_are_given_up_before_operators_are_dropped_if_a_part_cannot_be_opened() {
    let plugins = Arc::new(GivenUp::default());
    let subtask = opened(&plugins);
    let waits = Operator(plugins.clone());
    let opening: Vec<Opening> = vec![
        async { Ok(subtask) }.boxed(),
        async move {
            let _operator = waits;
            std::future::pending().await
        }
        .boxed(),
        async { Err(Error::environment("there is no such file")) }.boxed(),
    ];
    assert!(open_all(opening, HeldPlugins::new(plugins.clone())).await.is_err());
}

#[tokio::test]
async fn plugins_are_given_up_before_operators_are_dropped_if_nobody_waits_for_a_part() {
    let plugins = Arc::new(GivenUp::default());
    let subtask = opened(&plugins);
    let opening: Vec<Opening> = vec![async { Ok(subtask) }.boxed(), std::future::pending().boxed()];
    assert!(open_all(opening, HeldPlugins::new(plugins.clone())).now_or_never().is_none());
    assert!(plugins.0.load(Ordering::SeqCst));
    // If all goes well they are held, until nobody has them any more.
    let plugins = Arc::new(GivenUp::default());
    let subtask = opened(&plugins);
    let opening: Vec<Opening> = vec![async { Ok(subtask) }.boxed()];
    let (held, subtasks) = open_all(opening, HeldPlugins::new(plugins.clone())).await.ok().unwrap();
    assert!(!plugins.0.load(Ordering::SeqCst));
    drop(held);
    drop(subtasks);
}
