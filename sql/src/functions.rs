//! The function registry: which scalar and aggregate functions a job may call, by name. The planner resolves names
//! with it and the operators find the code with it, so that a graph holds names alone.
