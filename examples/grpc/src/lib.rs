//! The code that the shop and its clients share: it is generated from `proto/orders.proto`.

pub use self::generated::*;

mod generated {
    // The generated docs name types without backticks.
    #![allow(clippy::doc_markdown)]

    tonic::include_proto!("orders");
}
