//! One poll of a run, in the order in which it is heard: see [`precedence`].

pub mod failure;
pub mod hook;
pub mod lockstep;
pub mod newcomers;
pub mod poll;
pub mod precedence;
pub mod probes;
pub mod progress;
pub mod request;
pub mod roll_back;
pub mod unanswered;
pub mod why;
