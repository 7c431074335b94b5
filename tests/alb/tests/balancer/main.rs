//! The local balancer, asked by HTTP and by the SDKs as users and functions ask it.
//!
//! One program, since each would take as long to build as the balancer itself.

mod common;
mod faults;
mod health;
mod metrics;
mod reading;
mod refusals;
mod routing;
mod trouble;
