# SPDX-License-Identifier: GPL-2.0
# gnuplot -e "dat='bench.dat'; svg='bench.svg'" chart.gp
set terminal svg size 800,500 font "sans,13" background "white"
set output svg
set title "Instructions per command over doorbell size, on the emulated host, ".strftime("%B %Y", time(0))
set xlabel "commands in a doorbell"
set ylabel "instructions a command"
set logscale xy
set grid
set key top right
plot dat using 1:4 with lines dashtype 2 title "IOMMU\\_HWPT\\_INVALIDATE, one command a call", \
     dat using 1:3 with linespoints title "IOMMU\\_HWPT\\_INVALIDATE, all in one call", \
     dat using 1:2 with linespoints title "RUN\\_CMDQ, CMD\\_SYNC included"
