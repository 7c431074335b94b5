//! Which fleet is live and which is standby, as the balancer's weights tell it.
//!
//! The weights decide. The tag `failover:live` is heard only where the weights alone do not tell:
//! at an even split, and as a warning at an uneven one that an interrupted shift left behind.

use crate::model::error::Error;

/// What one route says about the two fleets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSays {
    /// The route as people know it, for messages.
    pub label: String,
    /// The raw weights of the first and the second fleet (0 where the route does not hold it).
    pub weights: [u16; 2],
    /// The fleet's name in the tag `failover:live`, if there is one.
    pub live_tag: Option<String>,
}

/// What a single route's evidence amounts to.
enum Says {
    /// This fleet (0 or 1) is live.
    Live(usize),
    /// The route does not tell, for the reason given.
    Unclear(String),
}

/// Derives the live fleet: the index, 0 or 1, into `names`.
///
/// `standby` is the operator's word. It decides where nothing tells; anywhere else it must agree.
/// `any_weights` is set for a drain, which may start from weights that contradict one another, if
/// the operator says which fleet is the standby.
///
/// # Errors
/// `PlanRejected` when the roles are ambiguous or the operator's word contradicts what is found.
pub fn live(
    names: [&str; 2],
    routes: &[RouteSays],
    standby: Option<&str>,
    any_weights: bool,
) -> Result<usize, Error> {
    let declared = match standby {
        None => None,
        Some(name) => Some(
            1 - names.iter().position(|n| *n == name).ok_or_else(|| {
                Error::rejected(format!(
                    "`standby`: there is no fleet {name:?}; use {} or {}. Nothing was touched.",
                    names[0], names[1]
                ))
            })?,
        ),
    };
    let mut found: Option<(usize, &str)> = None;
    let mut unclear = None;
    let mut conflict = None;
    for route in routes {
        match says(names, route) {
            Says::Unclear(why) => unclear = unclear.or(Some(why)),
            Says::Live(fleet) => match found {
                Some((other, label)) if other != fleet => {
                    conflict = conflict.or(Some(format!(
                        "{label} says that {} is live, {} says {}",
                        names[other], route.label, names[fleet]
                    )));
                }
                _ => found = Some((fleet, &route.label)),
            },
        }
    }
    if let Some(conflict) = conflict {
        return match declared {
            Some(live) if any_weights => Ok(live),
            _ => Err(Error::rejected(format!(
                "The routes disagree about the live fleet: {conflict}. A rule that is meant to stay where it is, such \
                 as a preview of one fleet, goes into `except`, by its host name or ARN. Where all of them are for \
                 users, a `drain` with `standby` brings them to one fleet first. Nothing was touched."
            ))),
        };
    }
    match (found, declared, unclear) {
        (Some((live, label)), Some(said), _) if live != said => Err(Error::rejected(format!(
            "`standby`: {} is live ({label} sends it the traffic), so it cannot be the standby; leave the field \
             out or say {}. Nothing was touched.",
            names[live],
            names[1 - live]
        ))),
        (Some((live, _)), _, _) | (None, Some(live), _) => Ok(live),
        (None, None, why) => Err(Error::rejected(format!(
            "Which fleet is the standby cannot be told: {}. Say it with \"standby\": \"{}\" or \"{}\". \
             Nothing was touched.",
            why.unwrap_or_else(|| "there is no route".into()),
            names[0],
            names[1]
        ))),
    }
}

fn says(names: [&str; 2], route: &RouteSays) -> Says {
    let tagged = route.live_tag.as_deref().and_then(|tag| names.iter().position(|n| *n == tag));
    let [first, second] = route.weights;
    let heavier = usize::from(second > first);
    let label = &route.label;
    match (first, second) {
        (0, 0) => Says::Unclear(format!("{label} sends traffic to neither fleet")),
        (1.., 0) | (0, 1..) => Says::Live(heavier),
        _ if first == second => tagged.map_or_else(
            || Says::Unclear(format!("{label} splits evenly and no tag failover:live names a fleet")),
            Says::Live,
        ),
        _ => match tagged {
            Some(live) if live != heavier => Says::Unclear(format!(
                "{label} gives most traffic to {}, but the tag failover:live says {}, as an interrupted \
                 shift leaves it",
                names[heavier], names[live]
            )),
            _ => Says::Live(heavier),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 2] = ["prod1", "prod2"];

    fn route(weights: [u16; 2], tag: Option<&str>) -> RouteSays {
        RouteSays { label: format!("rule {weights:?}"), weights, live_tag: tag.map(Into::into) }
    }

    fn derive(routes: &[RouteSays], standby: Option<&str>) -> Result<usize, String> {
        live(NAMES, routes, standby, false).map_err(|e| e.message)
    }

    #[test]
    fn the_weights_decide_in_both_directions() {
        for (weights, expected) in [([100, 0], 0), ([0, 100], 1), ([1, 0], 0), ([75, 25], 0), ([25, 75], 1)] {
            assert_eq!(derive(&[route(weights, None)], None), Ok(expected), "{weights:?}");
        }
    }

    #[test]
    fn a_tag_never_overrules_weights_that_tell() {
        assert_eq!(derive(&[route([0, 100], Some("prod1"))], None), Ok(1));
        assert_eq!(derive(&[route([100, 0], Some("prod2"))], None), Ok(0));
    }

    #[test]
    fn an_even_split_needs_the_tag_or_the_operator() {
        assert_eq!(derive(&[route([50, 50], Some("prod2"))], None), Ok(1));
        assert_eq!(derive(&[route([50, 50], None)], Some("prod2")), Ok(0));
        assert!(derive(&[route([50, 50], None)], None).unwrap_err().contains("\"standby\""));
        assert!(derive(&[route([50, 50], Some("blue"))], None).is_err());
        // One route that tells is enough for another that does not.
        assert_eq!(derive(&[route([50, 50], None), route([100, 0], None)], None), Ok(0));
    }

    #[test]
    fn an_interrupted_shift_is_ambiguous_until_the_operator_says() {
        let routes = [route([25, 75], Some("prod1"))];
        assert!(derive(&routes, None).unwrap_err().contains("interrupted"));
        assert_eq!(derive(&routes, Some("prod2")), Ok(0));
        assert_eq!(derive(&routes, Some("prod1")), Ok(1));
    }

    #[test]
    fn the_operators_word_must_agree_with_what_is_found() {
        let routes = [route([100, 0], None)];
        assert!(derive(&routes, Some("prod1")).unwrap_err().contains("`standby`"));
        assert!(derive(&routes, Some("prod3")).unwrap_err().contains("`standby`"));
        assert_eq!(derive(&routes, Some("prod2")), Ok(0));
    }

    #[test]
    fn routes_that_disagree_need_a_drain_with_a_word() {
        let routes = [route([100, 0], None), route([0, 100], None)];
        let refused = derive(&routes, None).unwrap_err();
        // What should stay is asked for before anything that moves all of them.
        let (except, drain) = (refused.find("`except`").unwrap(), refused.find("`drain`").unwrap());
        assert!(except < drain && refused.contains("Where all of them are for users"), "{refused}");
        assert!(derive(&routes, Some("prod2")).is_err());
        assert_eq!(live(NAMES, &routes, Some("prod2"), true), Ok(0));
        assert!(live(NAMES, &routes, None, true).is_err());
    }

    proptest! {
        /// Swapping the fleets swaps the answer: no fleet is treated differently by its place.
        #[test]
        fn both_directions_are_alike(
            weights in proptest::collection::vec(([0u16..4, 0u16..4], proptest::option::of(0usize..2)), 0..4),
            standby in proptest::option::of(0usize..2),
            any in any::<bool>(),
        ) {
            let routes = |flip: bool| -> Vec<RouteSays> {
                weights.iter().map(|([a, b], tag)| {
                    let tag = tag.map(|t| NAMES[t]);
                    route(if flip { [*b, *a] } else { [*a, *b] }, tag)
                }).collect()
            };
            let word = standby.map(|s| NAMES[s]);
            let there = live(NAMES, &routes(false), word, any);
            let back = live([NAMES[1], NAMES[0]], &routes(true), word, any);
            prop_assert_eq!(there.ok(), back.ok().map(|i| 1 - i));
        }
    }
}
