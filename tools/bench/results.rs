//! Results in files: saved, and compared with.

use std::path::Path;

use kiln::prelude::*;
use serde_json::Value;

/// Writes a JSON file.
pub fn write(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, format!("{value:#}\n")).map_err(|error| {
        Error::argument(
            "arguments",
            format!("cannot write {}: {error}", path.display()),
        )
    })
}

/// An earlier result: a JSON object.
pub fn read(path: &Path) -> Result<Value> {
    let refused = |why: String| Error::argument("compare", format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| refused(format!("is no result of bench: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(refused("is no result of bench: not a JSON object".into()))
    }
}

/// Results of other engines: a JSON object a line; other lines are passed over.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::argument("peers", format!("{}: {error}", path.display())))?;
    let objects = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(objects.filter(Value::is_object).collect())
}

/// Every number that both have, then, now, and the ratio.
pub fn compare(before: &Value, now: &Value) -> Result<()> {
    let (Some(old), Some(new)) = (before.as_object(), now.as_object()) else {
        return Ok(());
    };
    if old.get("device") != new.get("device") {
        println!(
            "another device then: {}",
            old.get("device").unwrap_or(&Value::Null)
        );
    }
    println!("{:<28} {:>14} {:>14} {:>8}", "", "then", "now", "now/then");
    let mut compared = 0;
    for (name, value) in new {
        let pair = (old.get(name).and_then(Value::as_f64), value.as_f64());
        if let (Some(then), Some(now)) = pair {
            compared += 1;
            let ratio = if then == 0.0 {
                "–".into()
            } else {
                format!("{:.3}", now / then)
            };
            println!("{name:<28} {then:>14.3} {now:>14.3} {ratio:>8}");
        }
    }
    if compared == 0 {
        let message = "the file has no number in common with this result";
        return Err(Error::argument("compare", message));
    }
    Ok(())
}
