//! The folder of the demo, and its settings, written as files, so that every
//! other command can be tried on it from another terminal.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use frontdesk_simulator::DEMO_SECRET;

use crate::domain::id::new_id;

/// How the demo differs from a real desk: nobody wants to watch it wait.
const IMPATIENCE: &str = r#"
[worker]
poll = "50ms"

[retry]
first = "200ms"

[reconcile]
after = "3s"
every = "500ms"
resubmit_after = "300ms"

[audit]
overdue = "1m"

# A workflow of your own is a section like this one.
[workflows.custom.warranty]
about = "says whether a claim is under warranty"
version = "1"
prompt = "You help the service team of {{shop}}. Say in two sentences whether the claim is under warranty: two years from the purchase. order_number as the ticket says it, otherwise null."
schema = '''
{
  "type": "object",
  "additionalProperties": false,
  "required": ["verdict", "order_number"],
  "properties": {"verdict": {"type": "string"}, "order_number": {"type": ["string", "null"]}}
}
'''

[workflows.custom.warranty.effects]
note = "verdict"
fields = ["order_number"]

[workflows.custom.warranty.variables]
shop = "Solveig Lamps"
"#;

/// How fast what people could still stop goes on.
pub(super) struct Tempo {
    /// How long an approval can be taken back, as `5s`.
    pub(super) undo: &'static str,
    /// Lines of a batch that are applied in a minute.
    pub(super) pace: u32,
}

/// A folder that is gone when this is.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one among the temporary files of this machine, for its owner only.
    pub(super) fn make() -> Result<Folder> {
        let path = std::env::temp_dir().join(new_id("frontdesk-demo")?);
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the settings and the policy into the folder; returns where the
/// settings are.
pub(super) fn write(folder: &Path, listen: SocketAddr, openai_url: &str, tempo: &Tempo) -> Result<PathBuf> {
    let Tempo { undo, pace } = tempo;
    let policy = folder.join("policy.toml");
    put(
        &policy,
        &format!("version = 2\n\n[defaults]\nundo = \"{undo}\"\n\n[workflow.warranty]\naction = \"apply\"\n"),
    )?;
    // Port 0 becomes another one, which nobody can know yet.
    let public = match listen.port() {
        0 => String::new(),
        _ => format!("public_url = {}\n", quoted(&format!("http://{listen}"))),
    };
    let file = folder.join("frontdesk.toml");
    let database = format!("sqlite://{}", folder.join("demo.db").display());
    let text = format!(
        "listen = {}\ndatabase_url = {}\n{public}\n[policy]\nfile = {}\n\n[openai]\nwebhook_secret = {}\napi_key = \"sk-demo\"\nbase_url = {}\nprobe_first = \"300ms\"\n\n[batch]\npace = {pace}\n{IMPATIENCE}",
        quoted(&listen.to_string()),
        quoted(&database),
        quoted(&policy.display().to_string()),
        quoted(DEMO_SECRET),
        quoted(openai_url),
    );
    put(&file, &text)?;
    Ok(file)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Only the owner may read it, as with every file that holds a secret.
fn put(path: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)
}
