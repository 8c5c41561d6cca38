/**
 * `millrace completion bash|zsh|fish`: a script that completes commands and flags, made from the
 * command line's own description. It asks no node: names of topics are not completed.
 */
import type { Command } from 'commander'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { CommandContext } from '../terminal/context.ts'

/** A command and what may follow it. */
type Node = { readonly path: string; readonly words: readonly Word[] }
type Word = { readonly text: string; readonly doc: string }

const SCRIPTS: Readonly<Record<string, (nodes: readonly Node[]) => string>> = { bash, zsh, fish }

/** Prints the script of a shell. Throws a usage error for one it does not know. */
export function printCompletion(
  context: CommandContext,
  program: Command,
  shell: string,
): ExitCode {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined
  if (script === undefined) {
    throw new CommandError(`no completion for ${shell}`, EXIT.usage, 'There is bash, zsh and fish.')
  }
  context.stdout.write(script(nodesOf(program, '')))
  return EXIT.ok
}

function nodesOf(command: Command, path: string): readonly Node[] {
  const words = [
    ...command.commands.map(child => ({ text: child.name(), doc: child.description() })),
    ...command.options.map(option => ({
      text: option.long ?? option.short ?? '',
      doc: option.description,
    })),
  ].filter(word => word.text !== '')
  const children = command.commands.flatMap(child =>
    nodesOf(child, path === '' ? child.name() : `${path} ${child.name()}`),
  )
  return [{ path, words }, ...children]
}

/** Longest command first, so that `topics list` is found before `topics`. */
function deepestFirst(nodes: readonly Node[]): readonly Node[] {
  return nodes.toSorted((a, b) => b.path.split(' ').length - a.path.split(' ').length)
}

function bash(nodes: readonly Node[]): string {
  const cases = deepestFirst(nodes)
    .filter(node => node.path !== '')
    .map(node => `    "${node.path}"|"${node.path} "*) words="${texts(node)}" ;;`)
  return `# Install: millrace completion bash > ~/.local/share/bash-completion/completions/millrace
_millrace() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[*]:1:COMP_CWORD-1}" in
${cases.join('\n')}
    *) words="${texts(nodes[0])}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _millrace millrace
`
}

function zsh(nodes: readonly Node[]): string {
  const cases = deepestFirst(nodes)
    .filter(node => node.path !== '')
    .map(node => `    "${node.path}"|"${node.path} "*) candidates=(${described(node)}) ;;`)
  return `#compdef millrace
# Install: millrace completion zsh > "\${fpath[1]}/_millrace"
_millrace() {
  local -a candidates
  case "\${words[2,CURRENT-1]}" in
${cases.join('\n')}
    *) candidates=(${described(nodes[0])}) ;;
  esac
  _describe 'millrace' candidates || _files
}
compdef _millrace millrace
`
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(node =>
    node.words.map(({ text, doc }) => {
      const condition = fishCondition(node, nodes)
      const word = text.startsWith('--') ? `-l ${text.slice(2)}` : `-f -a ${text}`
      return `complete -c millrace -n '${condition}' ${word} -d ${quoted(doc)}`
    }),
  )
  return `# Install: millrace completion fish > ~/.config/fish/completions/millrace.fish
${lines.join('\n')}
`
}

/** Words of the path are on the line; words that lead deeper are not. */
function fishCondition(node: Node, nodes: readonly Node[]): string {
  if (node.path === '') return '__fish_use_subcommand'
  const seen = node.path.split(' ').map(word => `__fish_seen_subcommand_from ${word}`)
  const deeper = nodes
    .filter(other => other.path.startsWith(`${node.path} `))
    .map(other => other.path.slice(node.path.length + 1))
  if (deeper.length > 0) seen.push(`not __fish_seen_subcommand_from ${deeper.join(' ')}`)
  return seen.join('; and ')
}

function texts(node: Node | undefined): string {
  return (node?.words ?? []).map(word => word.text).join(' ')
}

function described(node: Node | undefined): string {
  return (node?.words ?? [])
    .map(({ text, doc }) => quoted(`${text}:${doc.replaceAll(':', '\\:')}`))
    .join(' ')
}

/** Within single quotes, for a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '')}'`
}
