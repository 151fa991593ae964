//! Compares a figure of the cost budget with its goal.

use std::process::ExitCode;

/// Prints whether a figure meets its goal, and returns the exit code of the program.
pub(crate) fn at_most(goal: f64, figure: f64, what: &str) -> ExitCode {
    let (verdict, code) = if figure <= goal {
        ("met", ExitCode::SUCCESS)
    } else {
        ("missed", ExitCode::FAILURE)
    };
    let digits = if goal < 10.0 { 3 } else { 0 };
    println!("{what}: {figure:.digits$}; goal: at most {goal}; **{verdict}**");
    code
}
