//! Aligned columns, as people read them and `awk` takes them apart.

/// Rows under a header; columns as wide as their longest cell, two spaces between them.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Leaves out the columns in which no row has anything but `-`.
    pub(super) fn without_idle_columns(mut self) -> Self {
        let columns = self.rows.first().map_or(0, Vec::len);
        for column in (0..columns).rev() {
            let idle = self.rows[1..]
                .iter()
                .all(|row| row.get(column).is_none_or(|cell| cell == "-"));
            if idle {
                self.rows
                    .iter_mut()
                    .filter(|row| row.len() > column)
                    .for_each(|row| drop(row.remove(column)));
            }
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The text, each line indented by `indent` spaces.
    pub(super) fn print(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_have_no_tail() {
        let mut table = Table::new(&["ZONE", "SERIAL"]);
        table.row(vec!["example.".into(), "1".into()]);
        assert_eq!(table.print(2), "  ZONE      SERIAL\n  example.  1\n");
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(vec!["1".into(), "-".into(), "3".into()]);
        assert_eq!(table.without_idle_columns().print(0), "A  C\n1  3\n");
    }
}
