//! What a fence of the product looks at, answered so that the fence lets everything pass: as if it were not
//! there. So it is seen whether the world finds what the fence is for, and nothing in what ships has a switch.

use bytes::Bytes;
use http::Response;

/// A fence that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Every target is shown healthy.
    TargetsAreHealthy,
    /// Weights that somebody has set by hand are shown as those that the run wrote last.
    NobodyWroteWeights,
    /// A role is answered as recorded, and is not.
    RolesWereRecorded,
    /// A claim is answered as removed, and is not.
    ClaimsWereRemoved,
    /// No failure is measured.
    NothingFails,
    /// Nothing is known of what fleets have carried.
    NothingWasCarried,
    /// Whoever was stopped is shown as running.
    NobodyWasStopped,
    /// A notice is answered as sent, and is not.
    NoticesWereSent,
}

/// Every fence: what it is for, the worlds in which that is looked for, and what must be found broken.
pub const FENCES: [(Lie, &str, &str, &str); 8] = [
    (Lie::TargetsAreHealthy, "targets are looked at before a write", "the standby dies", DEAD),
    (Lie::NobodyWroteWeights, "weights are read before a write", "somebody else sets the weights", STAND),
    (Lie::RolesWereRecorded, "roles are recorded", "all is well", AGREE),
    (Lie::ClaimsWereRemoved, "the claim is removed", "all is well", "no claim is left"),
    (Lie::NothingFails, "failures are counted", "errors", "no success on a fleet that is plainly ill"),
    (
        Lie::NothingWasCarried,
        "what a fleet has carried is looked at",
        "a drain onto too small a fleet",
        "no overloaded split while the other fleet can carry more",
    ),
    (Lie::NobodyWasStopped, "executions are asked about", "a stop while it writes", "no claim is left"),
    (Lie::NoticesWereSent, "notices are sent", "all is well", AGREE),
];

const DEAD: &str = "no weight for a dead fleet";
const STAND: &str = "weights that somebody else has set stand";
const AGREE: &str = "weights, tags, notice and ending agree";

impl Lie {
    /// What is answered without asking anybody.
    pub fn instead(self, action: &str, body: &str) -> Option<Response<Bytes>> {
        let nothing = match (self, action) {
            (Self::RolesWereRecorded, "AddTags") => body.contains("done"),
            (Self::ClaimsWereRemoved, "AddTags") => body.contains("released"),
            _ => false,
        };
        let text = format!("<{action}Response><{action}Result/></{action}Response>");
        nothing.then(|| answer(text))
    }

    /// What is answered instead of an answer. `written` are the weights that a function wrote last.
    pub fn changed(self, action: &str, given: Response<Bytes>, written: [u32; 2]) -> Response<Bytes> {
        let (head, body) = given.into_parts();
        let text = || String::from_utf8_lossy(&body).into_owned();
        let weights = |[live, standby]: [u32; 2]| {
            text()
                .replace("<Weight>63</Weight>", &format!("<Weight>{live}</Weight>"))
                .replace("<Weight>37</Weight>", &format!("<Weight>{standby}</Weight>"))
        };
        let changed = match (self, action) {
            (Self::TargetsAreHealthy, "DescribeTargetHealth") => text().replace("unhealthy", "healthy"),
            (Self::NobodyWroteWeights, "DescribeRules") => weights(written),
            _ => return Response::from_parts(head, body),
        };
        Response::from_parts(head, changed.into())
    }

    /// Whether a metric is shown.
    pub fn shows(self, metric: &str, period: i64) -> bool {
        match self {
            Self::NothingFails => {
                !metric.contains("5XX") && !metric.contains("_50") && !metric.contains("Error")
            }
            Self::NothingWasCarried => period == 60,
            _ => true,
        }
    }
}

/// The weights that a call asks for, of both fleets in their order.
pub fn weights(action: &str, body: &str) -> Option<[u32; 2]> {
    if action != "ModifyRule" {
        return None;
    }
    let value = |name: &str| {
        let field = format!(".{name}=");
        body.split('&')
            .filter_map(move |part| Some(part.split_once(&field)?.1.to_owned()))
            .collect::<Vec<_>>()
    };
    let mut weights = [0; 2];
    for (group, weight) in value("TargetGroupArn").iter().zip(value("Weight")) {
        weights[usize::from(group.contains("-02-tg"))] = weight.parse().unwrap_or(0);
    }
    Some(weights)
}

/// An answer of the query protocol.
fn answer(text: String) -> Response<Bytes> {
    Response::builder().status(200).header("content-type", "text/xml").body(text.into()).expect("an answer")
}
