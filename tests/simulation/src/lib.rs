//! Whole runs of what ships, in virtual time, in worlds that follow from a seed.
//!
//! In one process and on one clock run the definition that ships ([`definition`], [`machine`], its
//! expressions in [`jsonata`]), the handlers that ship ([`functions`]), the AWS SDK that ships over a
//! connector in memory ([`cloud`], [`site`]), and the local balancer's API with its limits. [`plot`] draws a
//! world of one of the [`kinds`], [`world`] and [`fleet`] are what is true in it, [`measured`] what CloudWatch
//! shows of that, [`run`] makes a run, [`play`] those of a file of the rehearsal, [`checks`] says what must
//! hold afterwards, and [`batch`] makes many on all cores.

#![cfg(feature = "virtual")]
#![deny(clippy::disallowed_methods)]

pub mod batch;
pub mod checks;
pub mod cloud;
pub mod definition;
pub mod draw;
mod faults;
pub mod fleet;
pub mod functions;
pub mod history;
mod incidents;
pub mod jsonata;
pub mod kinds;
pub mod known;
pub mod lie;
pub mod machine;
pub mod measured;
pub mod play;
pub mod plot;
pub mod run;
mod seen;
pub mod site;
pub mod smallest;
pub mod world;
