//! What the generations of Claude want told differently, wherever they run.

use super::chat::{Choice, Part, Request, cannot};
use crate::passage::CannotSay;

/// The largest budget of thoughts that an effort stands for.
pub(super) const BUDGET_MAX: u64 = 16_384;

/// Whether a model is told to think by a budget of tokens: those before 4.6. The others find their own measure.
pub(super) fn thinks_by_budget(model: &str) -> bool {
    if ["claude-3", "claude-2"].iter().any(|old| model.contains(old)) {
        return true;
    }
    let version = ["opus-", "sonnet-", "haiku-"].iter().find_map(|line| model.split_once(line).map(|(_, version)| version));
    let mut numbers = version.unwrap_or_default().split(['-', '.', '@', ':']).map_while(|number| number.parse::<u32>().ok());
    // What stands where a minor version would may be a day.
    let minor = |number: Option<u32>| number.filter(|number| *number < 100).unwrap_or(0);
    numbers.next().is_some_and(|major| (major, minor(numbers.next())) <= (4, 5))
}

/// The budget of an effort, or none where the model could not begin with thoughts: it must call a tool, or calls were made
/// whose thoughts the client did not keep.
pub(super) fn budget(effort: &str, request: &Request<'_>) -> Result<Option<u64>, CannotSay> {
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let lost = parts.clone().any(|part| matches!(part, Part::Call { .. }))
        && !parts.any(|part| match part {
            Part::Thinking { signature, .. } => signature.as_ref().is_some_and(|signature| !signature.is_empty()),
            Part::Redacted { .. } => true,
            Part::Text { .. } | Part::Image(_) | Part::File { .. } | Part::Call { .. } | Part::Result { .. } | Part::Plan(_) => false,
        });
    if lost || matches!(request.choice, Some(Choice::Any | Choice::Named(_))) {
        return Ok(None);
    }
    let wanted = match effort {
        "minimal" | "low" => 1024,
        "medium" => 4096,
        _ => BUDGET_MAX,
    };
    // The budget must be below the limit of the answer.
    let budget = request.max_tokens.map_or(wanted, |max| wanted.min(max.saturating_sub(1)));
    if budget < 1024 { cannot("max_tokens", "with thoughts the target takes more than 1024") } else { Ok(Some(budget)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_before_4_6_think_by_a_budget() {
        for old in [
            "claude-3-7-sonnet-20250219",
            "claude-sonnet-4-20250514",
            "claude-opus-4@20250514",
            "claude-opus-4-1",
            "claude-haiku-4-5-20251001",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic/claude-sonnet-4.5",
            "claude-sonnet-4",
        ] {
            assert!(thinks_by_budget(old), "{old}");
        }
        for new in ["claude-opus-4-6", "global.anthropic.claude-opus-4-6-v1", "claude-sonnet-5", "claude-fable-5", "claude", "opus-", "m"] {
            assert!(!thinks_by_budget(new), "{new}");
        }
    }
}
