# The words before the cursor that are neither options nor their values, one a line.
function __casync_words
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l after ''
    for token in $tokens
        if test "$after" = --
            echo -- $token
        else if test "$after" = value
            set after ''
        else if test "$token" = --
            set after --
        else if contains -- $token $__casync_with_value
            set after value
        else if not string match -qr -- '^-.' $token
            echo -- $token
        end
    end
end

# Whether the verb is $argv[1], and $argv[2] words stand behind it: any number without $argv[2].
function __casync_at
    set -l words (__casync_words)
    test "$words[1]" = $argv[1]; or return 1
    test (count $argv) -eq 1; or test (count $words) -eq (math $argv[2] + 1)
end

# Names that begin with the current token, or with the value in it: folders, and what ends in one of
# $argv. Without an ending, or without a name that fits, all names.
function __casync_names
    set -l token (string replace -r -- '^--[a-z-]+=' '' (commandline -ct))
    set -l names (complete -C "__fish_command_without_completions $token" | string replace -r '\t.*' '')
    set -l fit
    for name in $names
        for ending in / $argv
            if string match -q -- "?*$ending" $name
                set -a fit $name
                break
            end
        end
    end
    if test (count $argv) -gt 0 -a (count $fit) -gt 0
        set names $fit
    end
    string join \n -- $names
end
