//! The report as one JSON object: schema/verify.schema.json.

use super::Report;

impl Report {
    /// The report as JSON with a line break at its end.
    ///
    /// # Errors
    /// None that is known: every value has a form in JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}
