//! Which part of a job runs in this process.

/// The slots of a job that this process has. A job has as many slots as it has parallelism; slot *i* holds subtask *i*
/// of every chain, and slot 0 those that there is one of.
#[derive(Debug, Clone)]
pub struct Part {
    slots: Slots,
}

#[derive(Debug, Clone)]
enum Slots {
    /// All of them.
    Whole(usize),
}

impl Part {
    /// The whole of a job with `parallelism` slots: nothing of it runs elsewhere.
    pub fn whole(parallelism: usize) -> Self {
        Self { slots: Slots::Whole(parallelism) }
    }

    /// Number of slots of the whole job.
    pub fn parallelism(&self) -> usize {
        match &self.slots {
            Slots::Whole(parallelism) => *parallelism,
        }
    }

    /// Whether the subtasks of this slot run here.
    pub fn has(&self, slot: usize) -> bool {
        match &self.slots {
            Slots::Whole(parallelism) => slot < *parallelism,
        }
    }
}
