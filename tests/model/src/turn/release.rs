//! `SwapRoles` and `ReleaseRoutes`.

use failover::model::hold::Hold;

use super::Turn;
use crate::execution::{Call, Ending, Step};

impl Turn<'_> {
    /// What it writes is a claim as well, so that one that somebody has removed is no hindrance.
    pub(super) fn swap_roles(&mut self) {
        let restore = self.me().is_restore();
        if self.me().call == Call::ReadTags {
            self.state.open_window(self.id);
            let unfenced = !self.protocol.fences.swap_checks_claim;
            self.write_all_apps();
            if unfenced || self.all_hold(Hold::Own) {
                self.next(Call::Write);
            } else if self.none_is_lost() {
                self.look_at_self_before(Call::Write);
            } else {
                self.release_then(Ending::ExternalChange);
            }
        } else if self.me().call == Call::LookAtSelfFirst {
            self.go_on_if_running(Call::Write);
        } else {
            self.land();
            if !self.next_app() {
                self.me_mut().window = None;
                self.release_then(if restore { Ending::Restored } else { Ending::Success });
            }
        }
    }

    /// Gives one app back at a time, each right after a look at whose it is.
    pub(super) fn release_routes(&mut self) {
        if self.me().call == Call::ReadTags {
            let unfenced = !self.protocol.fences.release_checks_claim;
            let is_held =
                |app: &usize| self.state.locks[*app].claim.is_some_and(|held| !held.reached.is_over());
            let mut apps = 0..self.protocol.apps;
            let mine = apps.find(|app| self.hold(*app).is_held() || unfenced && is_held(app));
            if let Some(app) = mine {
                self.state.open_window(self.id);
                self.me_mut().at = app;
                self.next(Call::Write);
            } else {
                let ending = self.me().then.unwrap_or(Ending::PlanRejected);
                self.end(ending);
            }
        } else {
            self.land();
            self.me_mut().begin(Step::ReleaseRoutes);
        }
    }
}
