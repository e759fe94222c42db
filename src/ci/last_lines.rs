//! The last lines of an output.

use std::collections::VecDeque;

/// The last lines, in so many bytes at most.
#[derive(Debug)]
pub(super) struct LastLines {
    lines: VecDeque<String>,
    bytes: usize,
    most: usize,
}

impl LastLines {
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            most,
        }
    }

    pub(super) fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > self.most
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
        }
    }

    pub(super) fn text(self) -> String {
        self.lines
            .into_iter()
            .map(|line| line + "\n")
            .collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        const MOST: usize = 64 << 10;
        let mut tail = LastLines::new(MOST);
        for number in 0..20_000 {
            tail.push(&format!("line {number}"));
        }
        let text = tail.text();
        assert!(text.len() <= MOST, "{}", text.len());
        assert!(text.ends_with("line 19998\nline 19999\n"));
    }
}
