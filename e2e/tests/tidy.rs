//! The laws of the house. Each is a pure function over the project's files that tells its offenders, held against the
//! project itself here and against a planted offender beside it.
//!
//! A law that stands in the way is changed here, in the commit that needs it, with the reason.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/rights.rs"]
mod rights;
#[path = "tidy/shape.rs"]
mod shape;

use files::{File, project};

/// A law: one line for each offence.
type Law = fn(&[File]) -> Vec<String>;

fn holds(law: Law) {
    let offences = law(&project());
    assert!(offences.is_empty(), "{} offences:\n  {}", offences.len(), offences.join("\n  "));
}

#[test]
fn packages_depend_in_the_direction_of_the_arrows() {
    holds(arrows::packages);
}

#[test]
fn rooms_are_strangers_to_one_another() {
    holds(arrows::rooms);
}

#[test]
fn every_arrow_of_the_table_is_walked() {
    holds(arrows::unwalked);
}

#[test]
fn files_end_before_five_hundred_lines() {
    holds(shape::length);
}

#[test]
fn files_are_named_by_a_noun_of_the_domain() {
    holds(shape::names);
}

#[test]
fn no_file_names_a_path_of_the_machine_that_it_was_written_on() {
    holds(shape::machine_paths);
}

#[test]
fn only_the_clock_asks_for_the_time() {
    holds(rights::clock);
}

#[test]
fn only_args_reads_the_environment() {
    holds(rights::environment);
}

#[test]
fn only_telemetry_metrics_registers_a_metric() {
    holds(rights::metrics);
}

#[test]
fn only_the_doors_choose_a_status_and_one_file_that_of_an_error() {
    holds(rights::status);
}

#[test]
fn only_the_folder_source_knows_custom_resources() {
    holds(rights::resources);
}

#[test]
fn translators_know_neither_tokio_nor_hyper() {
    holds(rights::translators);
}

#[test]
fn the_map_in_the_readme_names_every_source_folder() {
    holds(papers::map);
}

#[test]
fn what_the_papers_point_at_exists() {
    holds(papers::ghosts);
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_exists() {
    holds(papers::metrics);
}

#[test]
fn every_field_of_the_receipt_is_documented() {
    holds(papers::receipt);
}

#[test]
fn every_error_code_is_documented() {
    holds(papers::errors);
}

#[test]
fn every_flag_is_documented() {
    holds(papers::flags);
}

#[test]
fn every_field_and_every_reason_of_the_kinds_is_documented() {
    holds(papers::kinds);
}
