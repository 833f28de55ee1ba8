//! The wire between Weir's processes: protobuf messages, gRPC services, and nothing else.
//!
//! Each package of `proto/` has a module here. The generated types are plain data; what they mean is checked where they
//! are converted to the types of the crate that uses them.

pub mod peer;
