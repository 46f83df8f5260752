"""What the command line can do, a file for each idea; `gouache.cli` puts them together.

Answers go to standard output, everything for human eyes to standard error. Nothing heavy is imported
before a command needs it (`test_the_command_line_is_imported_without_the_heavy_libraries`).
"""
