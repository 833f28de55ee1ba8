//! `'connector' = 'filesystem'`.

pub mod sink;
