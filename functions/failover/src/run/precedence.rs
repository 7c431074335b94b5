//! What comes before what where several have something to say of a run: the one place for it.

/// Whoever may end a stage or a run, the first one first. What stands before another is heard before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// A fleet without healthy targets needs no statistics.
    Dead,
    /// One of the operator's alarms is in ALARM.
    Alarm,
    /// A person asks to go back. To stay, or to go on, can be asked of a run that may go on only.
    Request,
    /// Of several apps the worst decides, see [`crate::run::lockstep`].
    Lockstep,
    /// What was counted, see [`crate::verdict`], or what else a stage must show.
    Verdict,
    /// The application's own answers. They are asked for only where the run would go on otherwise.
    Probe,
    /// The team's own function, asked last.
    Hook,
}

impl Voice {
    /// All of them, in their order.
    pub const ALL: [Self; 7] =
        [Self::Dead, Self::Alarm, Self::Request, Self::Lockstep, Self::Verdict, Self::Probe, Self::Hook];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Alarm => "alarm",
            Self::Request => "request",
            Self::Lockstep => "lockstep",
            Self::Verdict => "verdict",
            Self::Probe => "probe",
            Self::Hook => "hook",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_the_state_machine_has_the_same_order() {
        assert!(Voice::ALL.is_sorted());
        let page = include_str!("../../../../statemachine/README.md");
        let row = |voice: Voice| page.find(&format!("\n| {} | ", voice.word())).ok_or(voice);
        let rows: Vec<usize> = Voice::ALL.map(row).into_iter().collect::<Result<_, _>>().unwrap();
        assert!(rows.is_sorted(), "{rows:?}");
    }
}
