//! Work that starts work. Each round of it is paid for, so it must end.

use super::{Workflow, WorkflowError, custom, wrong};

/// Every workflow that is started is there, and no chain of starts leads back
/// to where it began.
pub(super) fn must_come_to_an_end(all: &[Workflow]) -> Result<(), WorkflowError> {
    all.iter().try_for_each(|workflow| follow(workflow, all))
}

fn follow(first: &Workflow, all: &[Workflow]) -> Result<(), WorkflowError> {
    let setting = || custom::setting(&first.name) + ".effects.start";
    let mut way = vec![first.name.as_str()];
    let mut at = first;
    while let Some(next) = &at.starts {
        let Some(found) = all.iter().find(|workflow| workflow.name == *next) else {
            let known = all.iter().map(|workflow| workflow.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(wrong(setting(), format!("there is no workflow {next:?}; there are: {known}")));
        };
        let back = way.contains(&next.as_str());
        way.push(next);
        if back {
            let way = way.join(" → ");
            return Err(wrong(setting(), format!("the workflows would start each other for ever: {way}")));
        }
        at = found;
    }
    Ok(())
}
