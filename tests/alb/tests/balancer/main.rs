//! The local balancer, asked by HTTP and by the SDKs as users and functions ask it.
//!
//! One program, since each would take as long to build as the balancer itself.

mod anew;
mod common;
mod faults;
mod health;
mod late;
mod ledger;
mod limits;
mod memory;
mod metrics;
mod reading;
mod refusals;
mod removal;
mod routing;
mod stickiness;
mod trouble;
mod unused;
