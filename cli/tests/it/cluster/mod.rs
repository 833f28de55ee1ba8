//! Clusters: the commands that talk to one, and whole ones of real processes.

mod access;
mod api;
mod audits;
mod bucket;
mod catalog;
mod commands;
mod doctor;
mod enrich;
mod examples;
mod failures;
mod files;
mod functions;
mod leaders;
mod lifecycle;
mod local;
mod members;
mod monitoring;
mod nexmark;
mod plugins;
pub mod processes;
mod recover;
mod refusals;
mod secrets;
mod select;
mod settings;
mod sql;
mod tls;
