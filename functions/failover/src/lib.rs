//! Failover deployments: move an application's traffic between two fixed fleets behind one
//! Application Load Balancer, in watched stages, and put it back when something is wrong.
//!
//! The modules are floors: each knows those in front of it and none behind, as `tests/floors.rs`
//! holds them to. [`duration`] is how people type time; [`verdict`] is
//! statistics and knows counts alone; [`model`] has the nouns; [`input`]
//! is what people type, and what a deployment configures; [`wire`] is what every state of the state
//! machine sends and gets; [`plan`] makes a plan of what was found; [`run`] is one poll; [`report`] is
//! what is said of it. All of these are pure, without AWS, clock or randomness. What carries them out
//! is behind the feature `aws`.

#![deny(clippy::disallowed_methods)]

pub mod duration;

pub mod verdict;

pub mod model;

pub mod input;

pub mod wire;

pub mod plan;

pub mod run;

pub mod report;

#[cfg(feature = "aws")]
pub mod aws;

#[cfg(test)]
mod testing;
