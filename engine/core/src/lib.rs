//! Vocabulary and contracts of the Weir engine.
//!
//! Every other crate speaks in these words: what travels on a stream ([`Element`]), what time is ([`EventTime`],
//! [`Watermark`]), how keys are spread ([`hash`]), what a job is ([`JobGraph`]), and what an operator, a source and a
//! sink promise ([`Operator`], [`Source`], [`Sink`]). What users write in Rust comes in by [`plugin`].
//!
//! The crate does no I/O, spawns nothing, reads no clock, and knows neither tokio, protobuf nor DataFusion.

mod admission;
mod aggregate;
pub mod audit;
mod batch;
pub mod bugs;
pub mod connector;
mod element;
mod error;
mod expr;
mod graph;
pub mod hash;
mod ids;
mod location;
pub mod lookup;
mod operator;
mod placement;
pub mod plugin;
pub mod random;
pub mod source;
mod splits;
pub mod state_column;
mod time;
pub mod time_text;
pub mod views;
mod window;

pub use admission::{Admission, AdmissionLimits, NoPlace, Place};
pub use aggregate::{AggregateCall, AggregateFunction};
pub use batch::Batch;
pub use connector::{Connector, ConnectorRegistry, Sink, TableSpec};
pub use element::{Element, Marker, MarkerKind};
pub use error::{Error, ErrorKind, Result};
pub use expr::{BinaryOperator, Expr, Literal, LiteralValue};
pub use graph::{
    CalcSpec, Chain, ChangelogKind, ChangelogRowsSpec, DiscoverSpec, Edge, Exchange, ExpandSpec, FramedCall,
    FramedFunction, GroupAggregateSpec, InputStream, IntervalJoinSpec, JobGraph, JoinSpec, JoinSpread, JoinType,
    LookupJoinSpec, Node, NodeSpec, NullTimes, OperatorPlace, OperatorSpec, OutputPort, OverBound, OverCall, OverFrame,
    OverFunction, OverRows, OverSpec, PacedRowsSpec, Parallelism, Ranking, SinkSpec, SortKey, SortedRowsSpec,
    SourceSpec, TemporalJoinSpec, TimeColumn, TopNSpec, UnnestSpec, UpdatedWindow, UpdatingOverSpec,
    UpdatingSessionsSpec, UpsertRowsSpec, WatermarkSpec, WindowAggregateSpec, WindowAssignSpec, WindowJoinSpec,
    WindowSource, WindowTopNSpec,
};
pub use hash::HashRange;
pub use ids::{Attempt, CoordinatorId, Epoch, Incarnation, JobId, JobIdentity, NodeId, OperatorUid, WorkerId};
pub use location::Location;
pub use lookup::{LookupRows, LookupTable};
pub use operator::{
    Capture, CapturedRows, Collector, Distribution, OpenContext, Operator, Outstanding, StateRows, TableSchema,
};
pub use placement::{PlacedWorker, Placement};
pub use source::{Source, SourceEvent, Split, SplitDiscovery};
pub use splits::{SplitWatermarks, TableTime};
pub use time::{EventTime, InputWatermarks, Watermark};
pub use window::{Pane, WindowKind};
