//! `PageSize` and `Marker` of the Describe calls.

use super::ApiError;
use super::Scope;

/// The most items that AWS puts on one page.
const LARGEST: u32 = 400;

/// The items of the requested page, and the marker of the next one.
pub(super) fn page<T>(scope: &Scope<'_>, items: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = scope.within("PageSize", 1, LARGEST)?.unwrap_or(LARGEST) as usize;
    let start = match scope.text("Marker").filter(|marker| !marker.is_empty()) {
        None => 0,
        Some(marker) => marker
            .parse()
            .ok()
            .filter(|start| *start < items.len())
            .ok_or_else(|| ApiError::validation(format!("'{marker}' is not a valid marker")))?,
    };
    let end = start.saturating_add(size);
    let next = (end < items.len()).then(|| end.to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}
