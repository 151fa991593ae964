//! What the shop and its clients have in common: the code that is made from `proto/orders.proto`.

pub use self::generated::*;

mod generated {
    // It names its types without backticks.
    #![allow(clippy::doc_markdown)]

    tonic::include_proto!("orders");
}
