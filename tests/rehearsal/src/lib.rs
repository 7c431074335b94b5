//! The proving ground: what ships, run against a local AWS and real HTTP traffic.
//!
//! A [`Ground`] is a local AWS with the project's template deployed into it, and a load balancer
//! that both the Lambdas and real clients talk to. A [`Site`] is a balancer with its apps, an
//! [`App`] has two fleets that can be made to fail. [`Traffic`] are its users. An [`Execution`] is
//! a run of the shipped state machine, followed state by state. [`play::rehearse`] plays all
//! of that from a file.

mod app;
mod execution;
mod family;
mod ground;
pub mod kill;
mod local_aws;
pub mod play;
pub mod policy;
mod recording;
mod site;
mod traffic;
mod uses;
pub mod view;

pub use app::{App, Fault, Mark};
pub use execution::{Ended, Event, Execution};
pub use family::kill_all;
pub use ground::{
    ACCOUNT, BALANCER, Ground, SCHEDULED_APP, STACK, Stack, balancer_client, cli, deploy, hook_function,
    lambda_architecture,
};
pub use local_aws::{LocalAws, REGION, aim, elsewhere, root, tool};
pub use recording::Recorder;
pub use scenario::{FLEETS, Load, RouteKind};
pub use site::{Forward, Site};
pub use traffic::{Answer, Tally, Traffic};
pub use uses::Use;
