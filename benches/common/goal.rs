//! What a figure of the cost budget is to be.

use std::process::ExitCode;

/// Says whether a figure met its goal. The code is the program's.
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
