//! What prost and tonic make of the `.proto` files, which carry the documentation. Nested as the packages are, because generated
//! code refers to its neighbours by path.

#![allow(missing_docs, clippy::pedantic)]

pub mod client {
    pub mod v1 {
        tonic::include_proto!("weir.client.v1");
    }
}

pub mod job {
    pub mod v1 {
        tonic::include_proto!("weir.job.v1");
    }
}

pub mod worker {
    pub mod v1 {
        tonic::include_proto!("weir.worker.v1");
    }
}
