//! gRPC, so that nobody else has to know what is generated: services that turn calls into the plain types, and the calling side.
