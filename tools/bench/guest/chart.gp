# SPDX-License-Identifier: GPL-2.0
# gnuplot -e "dat='bench-guest.dat'; svg='bench-guest.svg'" chart.gp
set terminal svg size 800,500 font "sans,13" background "white"
set output svg
set title "Direct reads from an NVMe disk in a guest, on the emulated host"
set ylabel "seconds"
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.7 border -1
set yrange [0:*]
set grid ytics
set key top right
plot dat using 2:xtic(1) title "QEMU, accel=on", \
     dat using 3 title "reference VMM", \
     dat using 4 title "reference VMM, polling"
