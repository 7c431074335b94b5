//! Failover deployments: move an application's traffic between two fixed fleets behind one
//! Application Load Balancer, in watched stages, and put it back when something is wrong.
//!
//! The domain is pure, without AWS, clock or randomness: [`weights`], [`roles`], [`plan`],
//! [`verdict`], and the types on every edge of the state machine in [`contract`]. What carries it
//! out is behind the feature `aws`.

#[cfg(feature = "aws")]
pub mod aws;
pub mod calendar;
pub mod claim;
pub mod contract;
pub mod duration;
pub mod error;
pub mod failure;
pub mod hold;
pub mod hook;
pub mod input;
pub mod lockstep;
pub mod newcomers;
pub mod notice;
pub mod outcome;
pub mod plan;
pub mod poll;
pub mod probe;
pub mod progress;
pub mod publish;
pub mod record;
pub mod request;
pub mod roles;
pub mod roll_back;
pub mod samples;
#[cfg(test)]
mod testing;
pub mod verdict;
pub mod weights;
