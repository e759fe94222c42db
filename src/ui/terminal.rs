//! The live view: a line with a spinner for every running step, finished ones above them.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::event::{Event, Status};
use super::plain;

#[derive(Debug, Default)]
pub struct Terminal {
    bars: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
}

impl Terminal {
    /// Shows one event.
    pub fn event(&mut self, event: &Event) {
        match event.status {
            Status::Started => self.start(event),
            Status::Progress => {
                if let Some(bar) = self.running.get(&event.step) {
                    bar.set_message(plain::escape_controls(&event.detail));
                }
                if event.error.is_some() {
                    self.print(&plain::lines(event));
                }
            }
            Status::Done | Status::Failed | Status::Skipped => {
                if let Some(bar) = self.running.remove(&event.step) {
                    bar.finish_and_clear();
                }
                self.print(&colour(event.status, &plain::lines(event)));
            }
        }
    }

    /// Prints text above the running steps.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| super::err(text));
    }

    fn start(&mut self, event: &Event) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        // A broken template would be a bug; the default style still shows the step.
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>7} {spinner:.cyan} {prefix:<24} {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(event.step.clone());
        bar.set_message(plain::escape_controls(&event.detail));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.running.insert(event.step.clone(), bar);
    }
}

fn colour(status: Status, text: &str) -> String {
    let style = match status {
        Status::Done => console::Style::new().green(),
        Status::Failed => console::Style::new().red(),
        _ => console::Style::new().dim(),
    };
    let mark = ["✓", "✗", "-"]
        .into_iter()
        .find(|mark| text.contains(mark))
        .unwrap_or_default();
    text.replacen(mark, &style.for_stderr().apply_to(mark).to_string(), 1)
}
