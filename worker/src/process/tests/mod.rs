//! Real workers over real connections; the test plays the leader.

mod files;
mod jobs;
mod leader;
mod pace;
mod trouble;
