//! `SwapRoles` and `ReleaseRoutes`.

use super::Turn;
use crate::execution::{Call, Ending, Step};

impl Turn<'_> {
    pub(super) fn swap_roles(&mut self) {
        let restore = self.me().is_restore();
        if self.me().call == Call::ReadTags {
            self.state.open_window(self.id);
            if self.claims_are_mine() || !self.protocol.fences.swap_checks_claim {
                self.me_mut().route = self.my_routes().next().unwrap_or(0);
                self.next(Call::Write);
            } else {
                self.release_then(Ending::Overtaken);
            }
        } else {
            self.land();
            if !self.next_route() {
                self.me_mut().window = None;
                self.release_then(if restore { Ending::Restored } else { Ending::Success });
            }
        }
    }

    /// Removes one claim at a time, each right after a look at whose it is.
    pub(super) fn release_routes(&mut self) {
        if self.me().call == Call::ReadTags {
            let unfenced = !self.protocol.fences.release_checks_claim;
            let mine = self.state.routes.iter().position(|route| match route.claim {
                Some(claim) => self.counts_as_mine(claim) || unfenced,
                None => false,
            });
            if let Some(route) = mine {
                self.state.open_window(self.id);
                self.me_mut().route = route;
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
