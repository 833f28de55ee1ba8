//! Clusters: the commands that talk to one, and whole ones of real processes.

mod commands;
mod failures;
mod leaders;
mod lifecycle;
mod local;
mod members;
mod nexmark;
mod processes;
mod recover;
mod refusals;
mod select;
